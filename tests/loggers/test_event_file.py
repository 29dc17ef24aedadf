from optlab.loggers import event_file


def test_names_of_later_files_come_later() -> None:
    names = [event_file.file_name() for _ in range(50)]
    assert sorted(set(names)) == names
