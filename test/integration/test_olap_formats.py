"""A result of many blocks is one document, whatever the format."""

import json
import xml.etree.ElementTree

import pytest

ROWS = 200_000


@pytest.mark.parametrize("output", ["JSON", "JSONCompact"])
def test_json_is_one_document(target, output):
    answer = json.loads(target.query(f"SELECT number FROM numbers({ROWS}) FORMAT {output}"))
    assert answer["rows"] == len(answer["data"]) == ROWS


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
