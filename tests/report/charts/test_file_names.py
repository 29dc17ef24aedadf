from optlab.report.charts.file_names import file_names


def test_what_is_made_for_one_group_alone_goes_by_its_own_name() -> None:
    assert file_names("ranking", ["digits, noise=0.2"]) == {"digits, noise=0.2": "ranking"}


def test_names_are_plain_words() -> None:
    found = file_names("curves", ["Digits, noise=0.2", "by row gradients"])
    assert list(found.values()) == ["curves_digits_noise_0_2", "curves_by_row_gradients"]


def test_no_name_is_given_twice() -> None:
    groups = ["x=-1", "x=1", "X 1", "", "µ", "a" * 200, "a" * 201]
    found = file_names("map", groups)
    assert list(found) == groups
    assert len({name.lower() for name in found.values()}) == len(groups)
    assert all(name.isascii() and len(name) < 80 for name in found.values())
