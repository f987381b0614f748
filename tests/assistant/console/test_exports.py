"""Exports hold what the list showed, no formula and no private value, and only the asker gets the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from assistant.accounts.models import User
from assistant.console import exports, jobs
from assistant.console.models import Job
from assistant.console.retention import exports_folder
from tests.assistant.console.conftest import SECRET, Talk, make_talk
from tests.support.people import make_site
from tests.support.valkey import ValkeyServer


def export(asker: User, file_format: str, **parameters: str) -> Job:
    job = exports.start(parameters=parameters, file_format=file_format, created_by=asker)
    jobs.work(job.pk, exports.write)
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.message
    return job


def file_of(job: Job) -> Path:
    return exports_folder() / job.result_path


def test_csv_has_a_row_for_each_message(talk: Talk, staff: dict[str, User]) -> None:
    job = export(staff["trainer"], "csv")
    with file_of(job).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["role"] for row in rows] == ["user", "assistant"]
    assert rows[1]["ttft_ms"] == "400"
    assert (job.num_done, job.num_total) == (1, 1)


def test_jsonl_has_a_line_for_each_conversation(talk: Talk, staff: dict[str, User]) -> None:
    make_talk(make_site("blog"))
    lines = file_of(export(staff["trainer"], "jsonl")).read_text().splitlines()
    assert [len(json.loads(line)["messages"]) for line in lines] == [2, 2]


def test_filter_of_the_list_holds_for_the_export(talk: Talk, staff: dict[str, User]) -> None:
    make_talk(make_site("blog"), text="something else")
    lines = file_of(export(staff["trainer"], "jsonl", q="parcel")).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(talk.conversation.pk)]


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_private_values_are_not_exported(talk: Talk, staff: dict[str, User], file_format: str) -> None:
    text = file_of(export(staff["trainer"], file_format)).read_text()
    assert "[EMAIL_1]" in text
    assert SECRET not in text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "＝1"])
def test_no_cell_is_a_formula(talk: Talk, staff: dict[str, User], text: str) -> None:
    talk.answer.text = text
    talk.answer.save()
    with file_of(export(staff["trainer"], "csv")).open(encoding="utf-8-sig", newline="") as file:
        cells = [row["text"] for row in csv.DictReader(file)]
    assert cells[1] == "'" + text


def test_list_starts_an_export_and_the_asker_downloads_it(
    talk: Talk,
    as_: Callable[[str], Client],
    valkey: ValkeyServer,
) -> None:
    client = as_("trainer")
    answer = client.post("/console/conversations/conversation/export/", {"format": "csv", "q": "parcel"})
    assert answer.status_code == 302
    job = Job.objects.get()
    jobs.work(job.pk, exports.write)
    got = client.get(f"/console/console/job/{job.pk}/download/")
    assert got.status_code == 200
    assert got["Content-Disposition"].startswith("attachment")
    assert b"parcel" in b"".join(got.streaming_content)  # type: ignore[arg-type]
    assert as_("administrator").get(f"/console/console/job/{job.pk}/download/").status_code == 404


def test_name_of_the_file_cannot_lead_out_of_the_folder(talk: Talk, staff: dict[str, User]) -> None:
    job = export(staff["trainer"], "csv")
    job.result_path = "../secret_key"
    job.save()
    assert exports.file_of(job, asked_by=staff["trainer"]) is None
