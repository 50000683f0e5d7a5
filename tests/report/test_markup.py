from hamerspace.report.markup import code, escape, fence, table


def test_what_a_text_holds_is_not_taken_for_markup():
    assert escape("a_b *c* | <d>\n[e]") == r"a\_b \*c\* \| \<d\> \[e\]"
    assert escape("a|b\n<img src=x> $x$ ~~[y](z)~~") == (
        r"a\|b \<img src=x\> \$x\$ \~\~\[y\](z)\~\~"
    )


def test_a_table_has_heads_a_rule_and_rows():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_control_characters_are_seen_and_a_line_stays_one():
    assert escape("\x1b[31mred\x1b[0m\x07") == r"red\\x07"
    assert code("a\nb") == "`a\\nb`"


def test_code_ends_where_it_ends():
    assert code("prune.ratio") == "`prune.ratio`"
    assert code("a`<img src=x>`") == r"a\`\<img src=x\>\`"
    assert code("a|b") == r"a\|b"


def test_no_line_of_a_block_ends_it():
    text = "a\n````\n`````yaml\n# b"
    assert fence("yaml", text) == f"``````yaml\n{text}\n``````"
    assert fence("json", "{}\n") == "````json\n{}\n````"
