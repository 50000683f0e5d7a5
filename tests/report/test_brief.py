from hamerspace.report.brief import brief


def test_a_winner_is_told_before_and_after_with_its_limits_and_recipe(run):
    told = brief(run, search_s=120.0, confirm_s=20.0)
    text = str(told)
    source = run.source.confirm_values or run.source.values
    assert f"{source['size_mb']:.3g} MB" in text
    assert "smaller)" in text
    assert "faster)" in text
    for check in told.limits:
        assert f"{check.limit}: {check.value}, {check.verdict}" in text
    trial = next(t for t in run.trials if t.number == run.winner.number)
    for name, value in trial.parameters.items():
        assert f"{name} = {value}" in text
    assert "searched for 2 min, confirmed for 20 s" in text
    assert max(map(len, text.splitlines()[1:])) < 200


def test_without_a_winner_the_nearest_are_told(infeasible_run):
    told = brief(infeasible_run, search_s=10.0)
    assert told.rows == ()
    assert len(told.nearest) == len(infeasible_run.nearest)
    assert told.nearest[0] in str(told)


def test_a_run_that_has_not_ended_says_so(shortened_run):
    assert str(brief(shortened_run(3))).endswith("not finished")


def test_a_notebook_sees_tables_and_no_markup_of_the_run(run):
    from dataclasses import replace

    html = brief(replace(run, name="<script>"))._repr_html_()
    assert "<script>" not in html
    assert "<table" in html
