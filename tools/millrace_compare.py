"""Source against target, row for row and value for value, by a way of its own.

PostgreSQL is read by COPY in its text form, ClickHouse over HTTP with FINAL as TabSeparated; both
are brought into one canonical form by the rules of docs/types.md. Nothing here knows the node's
conversion code. Tables of any size are compared in constant memory: rows are hashed into buckets by
key, and only buckets that differ are read again and looked at row by row. The order of rows and how
often equal rows occur matter as in a multiset.
"""

import hashlib
import marshal
import re
import struct

from millrace_servers import ClickHouseError, Failure, wait_until

# What millrace's own sessions fix as well: text forms depend on it.
SESSION = {
    "DateStyle": "ISO,YMD", "IntervalStyle": "postgres", "TimeZone": "UTC", "extra_float_digits": "1", "bytea_output": "hex",
    "xmlbinary": "base64", "lc_monetary": "C", "row_security": "off", "search_path": "pg_catalog", "quote_all_identifiers": "off",
    "statement_timeout": "0",
}
BUCKETS = 4096
SHOWN = 5


def quote_source(name):
    return '"' + name.replace('"', '""') + '"'


def quote_target(name):
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


# -- canonical values -------------------------------------------------------------------------------
# A field arrives as bytes without escapes, or None; equal values have equal canonical forms.

_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"0": b"\0"}


def unescape(field):
    """COPY's and TabSeparated's escapes, which agree where both have one."""
    if field == b"\\N":
        return None
    if b"\\" not in field:
        return field
    return re.sub(rb"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), field, flags=re.DOTALL)


def _text(value):
    return value


def _bool(value):
    return {b"t": True, b"true": True, b"f": False, b"false": False}[value]


def _bytea(value):
    return bytes.fromhex(value[2:].decode())


def _float(layout):
    def canonical(value):
        number = float(value)
        return repr(struct.unpack(layout, struct.pack(layout, number))[0]).encode()
    return canonical


def _decimal(value):
    return value.rstrip(b"0").rstrip(b".") if b"." in value else value


def _clipped(lowest, highest, length, complete):
    """Dates and times as text of one length; what the server cannot hold as the end of its range."""
    def canonical(value):
        if value == b"infinity" or (value[:1] != b"-" and value.find(b"-") > 4 and not value.endswith(b" BC")):
            return highest
        if value == b"-infinity" or value.endswith(b" BC"):
            return lowest
        value = complete(value)
        if len(value) != length:
            raise Failure(f"a date that is none: {value!r}")
        return min(max(value, lowest), highest)
    return canonical


def _complete_timestamp(value):
    value = value[:-3] if value.endswith(b"+00") else value
    return value + b".000000" if len(value) == 19 else value.ljust(26, b"0")


def parse_source_array(text):
    """Elements of PostgreSQL's array literal, None for NULL."""
    if not text.startswith(b"{") or text[1:2] == b"{":
        raise Failure(f"an array that the target cannot hold: {text[:80]!r}")
    items, i = [], 1
    while text[i:i + 1] != b"}":
        if text[i:i + 1] == b'"':
            end = i + 1
            while text[end:end + 1] != b'"':
                end += 2 if text[end:end + 1] == b"\\" else 1
            items.append(re.sub(rb"\\(.)", rb"\1", text[i + 1:end], flags=re.DOTALL))
            i = end + 1
        else:
            end = re.compile(rb"[,}]").search(text, i).start()
            items.append(None if text[i:end].upper() == b"NULL" else text[i:end])
            i = end
        i += text[i:i + 1] == b","
    return items


def parse_target_array(text):
    """Elements of ClickHouse's array text, None for NULL."""
    items, i = [], 1
    while text[i:i + 1] != b"]":
        if text[i:i + 1] == b"'":
            end = i + 1
            while text[end:end + 1] != b"'":
                end += 2 if text[end:end + 1] == b"\\" else 1
            items.append(unescape(text[i + 1:end]) if text[i + 1:end] != b"\\N" else b"\\N")
            i = end + 1
        else:
            end = re.compile(rb"[,\]]").search(text, i).start()
            items.append(None if text[i:end] == b"NULL" else text[i:end])
            i = end
        i += text[i:i + 1] == b","
    return items


class Ranges:
    """What this server's Date32 and DateTime64(6) can hold, found by inserting the ends."""

    def __init__(self, target):
        low_days, low_ticks = -719162, -62135596800 * 1000000  # 0001-01-01
        body = struct.pack("<iq", low_days, low_ticks)
        table = "_millrace_compare_probe"
        try:
            target.query("CREATE DATABASE IF NOT EXISTS _millrace_compare")
            target.query(f"CREATE OR REPLACE TABLE _millrace_compare.{table} (d Date32, t DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY ()")
            target.query(f"INSERT INTO _millrace_compare.{table} FORMAT RowBinary", {"async_insert": 0}, body)
            day, moment = target.query(f"SELECT d, t FROM _millrace_compare.{table} FORMAT TSV").strip().split("\t")
        finally:
            target.query("DROP DATABASE IF EXISTS _millrace_compare")
        wide_day, wide_moment = day == "0001-01-01", moment.startswith("0001-01-01 00:00:00")
        self.date = (b"0001-01-01", b"9999-12-31") if wide_day else (b"1900-01-01", b"2299-12-31")
        self.timestamp = ((b"0001-01-01 00:00:00.000000", b"9999-12-31 23:59:59.999999") if wide_moment
                          else (b"1900-01-01 00:00:00.000000", b"2299-12-31 23:59:59.999999"))


# -- the catalogue ----------------------------------------------------------------------------------

class Column:
    """A column of the source, how its values become canonical, and its type in the target."""

    SIMPLE = {  # PostgreSQL -> (ClickHouse, canonical form)
        "bool": ("Bool", _bool), "int2": ("Int16", _text), "int4": ("Int32", _text), "int8": ("Int64", _text),
        "oid": ("UInt32", _text), "xid": ("UInt32", _text), "cid": ("UInt32", _text), "xid8": ("UInt64", _text),
        "float4": ("Float32", _float("<f")), "float8": ("Float64", _float("<d")), "uuid": ("UUID", _text), "bytea": ("String", _bytea),
        **{name: ("String", _text) for name in
           ("text", "varchar", "bpchar", "char", "name", "citext", "xml", "money", "time", "timetz", "interval", "json", "jsonb")},
    }

    def __init__(self, name, type_oid, modifier, not_null, types, ranges):
        self.name = name
        self.target = name.replace(".", "_")
        self.is_bytea = False
        kind = types[type_oid]
        while kind["typtype"] == "d":
            modifier = kind["typtypmod"] if kind["typtypmod"] != -1 else modifier
            kind = types[kind["typbasetype"]]
        self.element = types.get(kind["element"])
        if self.element is not None:
            while self.element["typtype"] == "d":
                self.element = types[self.element["typbasetype"]]
            inner, self.canonical_element = self._scalar(self.element, modifier, ranges)
            self.type, self.canonical = f"Array(Nullable({inner.replace('LowCardinality(String)', 'String')}))", None
            return
        self.type, self.canonical = self._scalar(kind, modifier, ranges)
        self.is_bytea = self.canonical is _bytea
        if not not_null:
            self.type = ("LowCardinality(Nullable(String))" if self.type.startswith("LowCardinality") else f"Nullable({self.type})")

    @staticmethod
    def _scalar(kind, modifier, ranges):
        name = kind["typname"]
        if kind["typtype"] == "e":
            return "LowCardinality(String)", _text
        if name == "citext" or kind["builtin"]:
            if name == "numeric":
                precision, scale = ((modifier - 4) >> 16) & 0xffff, (modifier - 4) & 0x7ff
                if modifier >= 4 and not scale & 0x400 and scale <= precision <= 76:
                    return f"Decimal({precision}, {scale})", _decimal
                return "String", _text
            if name == "date":
                return "Date32", _clipped(*ranges.date, 10, _text)
            if name in ("timestamp", "timestamptz"):
                return "DateTime64(6, 'UTC')", _clipped(*ranges.timestamp, 26, _complete_timestamp)
            if name in Column.SIMPLE:
                return Column.SIMPLE[name]
        return "String", _text

    def from_source(self, field):
        value = unescape(field)
        if self.element is not None and self.canonical is None:
            return () if value is None else tuple(None if item is None else self.canonical_element(item)
                                                  for item in parse_source_array(value))
        return None if value is None else self.canonical(value)

    def from_target(self, field):
        if self.element is not None and self.canonical is None:
            element = _text if self.canonical_element is _bytea else self.canonical_element
            return tuple(None if item is None else element(item) for item in parse_target_array(field))
        value = unescape(field)
        return None if value is None else value if self.is_bytea else self.canonical(value)

    def taken_as(self, target_type):
        """The user asked for another type in the target; text is compared as text."""
        if target_type in ("String", "Nullable(String)") and self.type != target_type and not self.is_bytea:
            self.element, self.canonical = None, _text


class Catalogue:
    """Tables and columns of a source database."""

    def __init__(self, connection, ranges):
        with connection.cursor() as cursor:
            cursor.execute("""SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, e.oid AS element,
                t.typnamespace = 'pg_catalog'::regnamespace AS builtin
                FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid""")
            names = [column.name for column in cursor.description]
            self.types = {row[0]: dict(zip(names, row)) for row in cursor.fetchall()}
        self.connection, self.ranges = connection, ranges

    def tables(self):
        """Names (schema, table) of all ordinary and partitioned tables that could be published."""
        with self.connection.cursor() as cursor:
            cursor.execute("""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
                AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2""")
            return cursor.fetchall()

    def columns(self, schema, table):
        """(columns, names of the key's columns; none without a usable key)."""
        with self.connection.cursor() as cursor:
            name = f"{quote_source(schema)}.{quote_source(table)}"
            cursor.execute("""SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull FROM pg_attribute a
                WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum""", (name,))
            columns = [Column(*row, self.types, self.ranges) for row in cursor.fetchall()]
            cursor.execute("""SELECT a.attname FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                WHERE c.oid = %s::regclass AND i.indimmediate AND (i.indisreplident OR c.relreplident <> 'i' AND i.indisprimary)""", (name,))
            return columns, {row[0] for row in cursor.fetchall()}


# -- comparison -------------------------------------------------------------------------------------

class Side:
    """What one side holds: per bucket a count and a sum of row hashes, and the rows of chosen buckets."""

    def __init__(self, key_places, chosen=None):
        self.key_places, self.chosen = key_places, chosen
        self.rows = 0
        self.sums = [0] * BUCKETS
        self.kept = {}

    def add(self, values):
        self.rows += 1
        digest = hashlib.blake2b(marshal.dumps(values, 2), digest_size=16).digest()
        key = tuple(values[place] for place in self.key_places) if self.key_places else values
        bucket = int.from_bytes(hashlib.blake2b(marshal.dumps(key, 2), digest_size=2).digest(), "little") % BUCKETS
        self.sums[bucket] += int.from_bytes(digest, "little") + 1
        if self.chosen and bucket in self.chosen:
            self.kept.setdefault(key, []).append(values)


class _CopyReader:
    """psycopg2 writes each row of a COPY into this."""

    def __init__(self, columns, side):
        self.columns, self.side = columns, side

    def write(self, data):
        for line in data.split(b"\n")[:-1]:
            fields = line.split(b"\t") if self.columns else []
            self.side.add(tuple(column.from_source(field) for column, field in zip(self.columns, fields, strict=True)))
        return len(data)


def _read_source(connection, table, columns, side):
    names = ", ".join(quote_source(column.name) for column in columns)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY (SELECT {names} FROM {table}) TO STDOUT", _CopyReader(columns, side))


def _read_target(target, table, columns, side):
    names = ", ".join(quote_target(column.target) for column in columns)
    rest = b""
    for piece in target.stream(f"SELECT {names} FROM {table} FINAL FORMAT TabSeparated"):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        for line in lines:
            fields = line.split(b"\t")
            if len(fields) != len(columns):
                raise Failure(f"reading {table}: {line[:500].decode(errors='replace')}")
            side.add(tuple(column.from_target(field) for column, field in zip(columns, fields)))
    if rest:
        raise Failure(f"reading {table}: {rest[:500].decode(errors='replace')}")


class Comparison:
    """The result for one table; true when source and target are equal."""

    def __init__(self, name, target_name):
        self.name, self.target_name = name, target_name
        self.source_rows = self.target_rows = 0
        self.differences = []
        self.count = 0

    def __bool__(self):
        return not self.count

    def found(self, text):
        self.count += 1
        if len(self.differences) < SHOWN:
            self.differences.append(text)

    def __str__(self):
        head = f"{self.name}: {self.source_rows} rows in the source, {self.target_rows} in the target, "
        if self:
            return head + "equal"
        more = [f"... and {self.count - SHOWN} more"] if self.count > SHOWN else []
        return "\n    ".join([head + "NOT EQUAL", *self.differences, *more])


def target_name(schema, table):
    return table if schema == "public" else f"{schema}_{table}"


def compare_table(connection, catalogue, target, schema, table, database, name=None, types=None):
    """Compares one table. `types`: what the user asked for, {column: ClickHouse type}."""
    result = Comparison(f"{schema}.{table}", name or target_name(schema, table))
    columns, key = catalogue.columns(schema, table)
    for column in columns:
        if types and column.name in types:
            column.taken_as(types[column.name])
    source_table = f"{quote_source(schema)}.{quote_source(table)}"
    target_table = f"{quote_target(database)}.{quote_target(result.target_name)}"
    places = [place for place, column in enumerate(columns) if column.name in key]

    def read(chosen=None):
        sides = Side(places, chosen), Side(places, chosen)
        _read_source(connection, source_table, columns, sides[0])
        _read_target(target, target_table, columns, sides[1])
        return sides

    try:
        source, there = read()
        result.source_rows, result.target_rows = source.rows, there.rows
        differing = {bucket for bucket in range(BUCKETS) if source.sums[bucket] != there.sums[bucket]}
        if differing:
            source, there = read(set(sorted(differing)[:64]))
            _explain(result, columns, key, source.kept, there.kept)
            if result.count == 0:
                result.found("differed when first read, and not when read again: it is still changing")
    except ClickHouseError as error:
        result.found(str(error))
    return result


def _explain(result, columns, key, source, there):
    def show(value):
        text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
        return text if len(text) <= 80 else f"{text[:80]}... ({len(text)} characters)"

    def row_name(values):
        chosen = [(column.name, value) for column, value in zip(columns, values) if not key or column.name in key]
        return ", ".join(f"{name}={show(value)}" for name, value in chosen[:6])

    for row_key in sorted(set(source) | set(there), key=repr):
        left, right = source.get(row_key, []), there.get(row_key, [])
        if sorted(left, key=repr) == sorted(right, key=repr):
            continue
        if len(left) == len(right) == 1:
            what = "; ".join(f"{column.name}: source {show(a)!r}, target {show(b)!r}"
                             for column, a, b in zip(columns, left[0], right[0]) if a != b)
            result.found(f"{row_name(left[0])}: {what}")
        elif not right:
            result.found(f"{row_name(left[0])}: missing in the target" + (f" ({len(left)} times)" if len(left) > 1 else ""))
        elif not left:
            result.found(f"{row_name(right[0])}: only in the target" + (f" ({len(right)} times)" if len(right) > 1 else ""))
        else:
            result.found(f"{row_name(left[0])}: {len(left)} times in the source, {len(right)} times in the target")


def compare(source, target, database, target_database=None, tables=None, names=None, types=None):
    """Compares tables ("schema.table" or (schema, table); default: all); a list of Comparison.

    names: {"schema.table": name in the target}; types: {"schema.table": {column: type}}, as the
    user's configuration says.
    """
    options = " ".join(f"-c {key}={value}" for key, value in SESSION.items())
    connection = source.connect(database, options=options, client_encoding="UTF8")
    try:
        catalogue = Catalogue(connection, Ranges(target))
        chosen = [tuple(table.split(".", 1)) if isinstance(table, str) else table for table in tables or catalogue.tables()]
        return [compare_table(connection, catalogue, target, schema, table, target_database or database,
                              (names or {}).get(f"{schema}.{table}"), (types or {}).get(f"{schema}.{table}"))
                for schema, table in chosen]
    finally:
        connection.close()


def report(comparisons):
    return "\n".join(f"  {comparison}" for comparison in comparisons)


def assert_equal(source, target, database, seconds=0, **options):
    """Every table is equal, at the latest after so many seconds; AssertionError with the differences."""
    last = []

    def equal():
        last[:] = compare(source, target, database, **options)
        return all(last)

    try:
        wait_until(equal, "source and target are equal", seconds, 0.5)
    except Failure as failure:
        raise AssertionError(f"{failure}\n{report(last)}") from None
    if not last:
        raise AssertionError("no tables were compared")
    return last


def type_differences(source, target, database, target_database=None, tables=None, names=None):
    """Columns whose type in the target is not what docs/types.md says; a list of lines."""
    connection = source.connect(database)
    try:
        catalogue = Catalogue(connection, Ranges(target))
        found = []
        for schema, table in tables or catalogue.tables():
            name = (names or {}).get(f"{schema}.{table}") or target_name(schema, table)
            where = f"{quote_target(target_database or database)}.{quote_target(name)}"
            there = {row[0]: row[1] for row in target.rows(f"DESCRIBE TABLE {where}")}
            for column in catalogue.columns(schema, table)[0]:
                if there.get(column.target) != column.type:
                    found.append(f"{schema}.{table}.{column.name}: {there.get(column.target)}, not {column.type}")
        return found
    finally:
        connection.close()
