import pytest

from hamerspace._secrets import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "search --storage mysql://me:s3c/ret@db:3306/x",
            "search --storage mysql://me:***@db:3306/x",
        ),
        ("'postgresql://me:a%40b@db/x?a=1' -q", "'postgresql://me:***@db/x?a=1' -q"),
        ("postgresql:///x?user=me&password=secret", "postgresql:///x?user=me&password=***"),
        ("sqlite:////runs/study.db", "sqlite:////runs/study.db"),
        ("http://db:80/x --label module:function", "http://db:80/x --label module:function"),
        ("mysql://me@db/x", "mysql://me@db/x"),
    ],
)
def test_only_passwords_are_hidden(text, shown):
    assert without_passwords(text) == shown
