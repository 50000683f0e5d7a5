from hamerspace.report.markup import escape, table


def test_what_a_text_holds_is_not_taken_for_markup():
    assert escape("a_b *c* | <d>\n[e]") == r"a\_b \*c\* \| \<d\> \[e\]"
    assert escape("a|b\n<img src=x> $x$ ~~[y](z)~~") == (
        r"a\|b \<img src=x\> \$x\$ \~\~\[y\](z)\~\~"
    )


def test_a_table_has_heads_a_rule_and_rows():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
