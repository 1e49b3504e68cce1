"""A result of many blocks is one document, whatever the format."""

import json
import xml.etree.ElementTree

import pytest

ROWS = 200_000


@pytest.mark.parametrize("output", ["JSON", "JSONCompact"])
def test_json_is_one_document(target, output):
    answer = json.loads(target.query(f"SELECT number FROM numbers({ROWS}) FORMAT {output}"))
    assert answer["rows"] == len(answer["data"]) == ROWS


def test_totals_and_statistics_are_those_of_the_whole(target):
    sql = f"SELECT number % 50000 AS k, sum(number) AS s FROM numbers({ROWS}) GROUP BY k WITH TOTALS ORDER BY k LIMIT 30000 FORMAT JSON"
    answer = json.loads(target.query(sql))
    assert answer["rows"] == len(answer["data"]) == 30_000 and answer["rows_before_limit_at_least"] == 50_000
    assert int(answer["totals"]["s"]) == ROWS * (ROWS - 1) // 2
    assert answer["statistics"]["rows_read"] == ROWS


def test_a_column_or_table_may_be_called_format(target):
    target.query("CREATE OR REPLACE TABLE default.format (format UInt8) ENGINE = ReplacingMergeTree ORDER BY format")
    target.query("INSERT INTO default.format VALUES (7)")
    for sql in ("SELECT format FROM default.format", "SELECT f.format FROM default.format f", "SELECT * FROM default.format final"):
        assert target.query(sql) == "7\n"
    assert target.query("SELECT format FROM default.format FORMAT CSVWithNames") == '"format"\n7\n'
    assert target.query("SELECT 1 AS a FORMAT CSV SETTINGS max_threads = 1") == "1\n"


def test_a_syntax_error_shows_the_text_of_the_client(target):
    for sql in ("SELECT 1 FRM t", "SELECT 'abc", "SELECT 1 FORMAT", "SELECT (1"):
        with pytest.raises(Exception, match="Code: 62") as caught:
            target.query(sql)
        assert "OUTFILE '/" not in str(caught.value)


def test_xml_is_one_document(target):
    assert len(xml.etree.ElementTree.fromstring(target.query(f"SELECT number FROM numbers({ROWS}) FORMAT XML")).find("data")) == ROWS


@pytest.mark.parametrize("output", ["CSVWithNames", "TabSeparatedWithNames", "JSONCompactEachRowWithNames"])
def test_names_come_once(target, output):
    lines = target.query(f"SELECT number FROM numbers({ROWS}) FORMAT {output}").splitlines()
    assert len(lines) == ROWS + 1 and sum("number" in line for line in lines) == 1


@pytest.mark.parametrize("output", ["Parquet", "Arrow", "ArrowStream", "Native", "RowBinaryWithNamesAndTypes", "JSONColumns", "Values"])
def test_what_was_written_can_be_read_again(target, output):
    body = b"".join(target.stream(f"SELECT number, toString(number) AS s FROM numbers({ROWS}) FORMAT {output}"))
    target.query("CREATE OR REPLACE TABLE default.again (number UInt64, s String) ENGINE = MergeTree ORDER BY number")
    target.query(f"INSERT INTO default.again FORMAT {output}", {"async_insert": 0}, body)
    assert target.rows("SELECT count(), sum(number), uniqExact(s) FROM default.again") == [[ROWS, ROWS * (ROWS - 1) // 2, ROWS]]


FORMATS = ["TabSeparated", "TSVWithNames", "TabSeparatedWithNamesAndTypes", "TSVRawWithNames", "CSV", "CSVWithNames", "CSVWithNamesAndTypes", "JSON",
           "JSONCompact", "JSONStrings", "JSONColumns", "JSONEachRow", "JSONCompactEachRow", "JSONCompactEachRowWithNames",
           "JSONCompactEachRowWithNamesAndTypes", "JSONObjectEachRow", "XML", "Values", "Vertical", "Markdown", "PrettyCompact", "RowBinary",
           "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "TSKV", "SQLInsert"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_blocks_make_one_result(target, format_, rows):
    def answer(block):
        text = b"".join(target.stream(f"SELECT number AS \"a \"\"\nb\"\"\", concat('x\n', toString(number)) AS b FROM numbers({rows}) FORMAT {format_}",
                                      {"max_block_size": block, "output_format_write_statistics": 0, "output_format_pretty_color": 0}))
        return text
    one = answer(1000)
    assert answer(2) == one
    assert one or rows == 0


def test_names_are_there_without_rows(target):
    assert target.query("SELECT 1 AS a WHERE 0 FORMAT TSVWithNames") == "a\n"
    assert target.rows("SELECT 1 AS a WHERE 0") == []


def test_an_error_in_a_later_block(target):
    for format_ in ("JSON", "CSVWithNames", "TSV"):
        with pytest.raises(Exception, match="boom"):
            target.query(f"SELECT throwIf(number = 5, 'boom') FROM numbers(10) FORMAT {format_}", {"max_block_size": 2})
