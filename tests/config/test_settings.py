import inspect

from hamerspace import Study
from hamerspace.config.settings import SETTINGS, limits
from hamerspace.config.study import LimitsSection, SearchSection, StudyConfig


def test_every_setting_is_said_by_the_model():
    assert [s.name for s in SETTINGS.values()] == list(SETTINGS)
    for setting in SETTINGS.values():
        model = StudyConfig
        for step in setting.location[:-1]:
            annotation = model.model_fields[step].annotation
            model = annotation.__args__[0] if hasattr(annotation, "__args__") else annotation
        description = model.model_fields[setting.location[-1]].description
        assert len(setting.help) > 10
        assert description.startswith(setting.help.partition(" (")[0].removesuffix("."))
    assert limits() == tuple(LimitsSection.model_fields)


def test_types_choices_and_defaults():
    objectives, seed = SETTINGS["objectives"], SETTINGS["seed"]
    assert objectives.type == SETTINGS["constants"].type == list[str]
    assert objectives.choices[:2] == ("quality", "latency")
    assert objectives.help.endswith("; default: quality, latency, size).")
    assert (seed.type, seed.choices) == (int, ())
    assert seed.help == "Seed of every random draw (default: 0)."
    assert SETTINGS["max_size_mb"].type is SETTINGS["build_timeout_s"].type is float
    assert SETTINGS["history"].type is bool
    assert SETTINGS["direction"].choices == ("maximize", "minimize")
    sampler = SearchSection.model_fields["sampler"].annotation
    assert SETTINGS["sampler"].choices == sampler.__args__
    assert SETTINGS["timeout_s"].option == "--timeout"
    assert SETTINGS["data"].location == ("task", "data", "path")


def test_python_tells_the_keyword_arguments():
    for make in (Study.from_yaml, Study.from_model):
        parameters = inspect.signature(make).parameters
        assert set(SETTINGS) < set(parameters)
        assert "flags" not in parameters
        assert parameters["out"].kind is inspect.Parameter.KEYWORD_ONLY
        assert f"max_size_mb: {SETTINGS['max_size_mb'].help}" in make.__doc__
