"""What is finished is known to a later run, and nothing else is."""

import json

import pytest

from nnstyle import InputError
from nnstyle.batch.journal import NAME, Journal


def finish(folder, name, data=b"picture", checksum="1"):
    with Journal(folder, keep=True) as journal:
        (folder / name).write_bytes(data)
        journal.note({"output": name, "checksum": checksum}, data)


def is_finished(folder, name, checksum="1", keep=True):
    with Journal(folder, keep) as journal:
        return journal.finished(name, checksum) is not None


def test_a_finished_picture_is_found_again(tmp_path):
    finish(tmp_path, "a.png")
    finish(tmp_path, "b.png", b"another")
    with Journal(tmp_path, keep=True) as journal:
        line, data = journal.finished("b.png", "1")
        assert data == b"another" and line["output"] == "b.png" and journal.found == 2
    assert is_finished(tmp_path, "a.png") and not is_finished(tmp_path, "c.png")


def test_another_picture_or_a_changed_file_is_not(tmp_path):
    finish(tmp_path, "a.png")
    assert not is_finished(tmp_path, "a.png", checksum="2")
    (tmp_path / "a.png").write_bytes(b"changed")
    assert not is_finished(tmp_path, "a.png")
    (tmp_path / "a.png").unlink()
    assert not is_finished(tmp_path, "a.png")


def test_without_resume_nothing_is_and_nothing_is_forgotten(tmp_path):
    finish(tmp_path, "a.png")
    assert not is_finished(tmp_path, "a.png", keep=False)
    assert is_finished(tmp_path, "a.png")


def test_half_a_line_is_left_out_and_the_next_one_is_whole(tmp_path):
    finish(tmp_path, "a.png")
    with open(tmp_path / NAME, "ab") as file:
        file.write(b'{"output": "b.png", "checks')
    finish(tmp_path, "c.png")
    assert is_finished(tmp_path, "a.png") and is_finished(tmp_path, "c.png")
    assert [json.loads(line)["output"] for line in (tmp_path / NAME).read_text().splitlines()] == [
        "a.png",
        "c.png",
    ]


@pytest.mark.parametrize("text", ["[]\n", "5\n", '{"output": 5}\n', "[" * 100_000, "\0", "\udcff"])
def test_a_file_of_anything_is_no_journal(tmp_path, text):
    (tmp_path / NAME).write_text(text, encoding="utf-8", errors="surrogateescape")
    assert not is_finished(tmp_path, "a.png")


def test_two_batches_do_not_write_to_one_folder(tmp_path):
    with Journal(tmp_path, keep=True):
        with pytest.raises(InputError, match="another batch is writing"), Journal(tmp_path, keep=True):
            pass
    with Journal(tmp_path, keep=True):
        pass


def test_a_folder_that_cannot_be_written_to(unwritable_folder):
    with pytest.raises(InputError, match="cannot be written"), Journal(unwritable_folder, keep=True):
        pass
