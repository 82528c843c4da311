"""Workers, their run processes and the servers are killed at random, again and again, while runs are told things."""

import os
import signal
import subprocess
import time

import psutil
import pytest
import redis
from campaign import Campaign
from django.conf import settings
from django.db import connection
from run_processes import kill

from apps.runs.models import Run
from apps.workspaces.scope import scope


def kills(campaign, number):
    """Kill children, workers, or both, so many times, and until so many runs have been begun."""
    killed = 0
    while killed < number or campaign.submitted < number:
        campaign.keep()
        campaign.meddle()
        time.sleep(campaign.rng.uniform(0.2, 3.0))
        worker = campaign.rng.choice(campaign.living)
        children = worker.children
        how = campaign.rng.choice(("child", "worker", "both"))
        if how != "worker" and not children:
            continue
        if how != "worker":
            kill(campaign.rng.choice(children).pid)
        if how != "child":
            kill(worker.process.pid)
            worker.process.wait()
        campaign.replace_dead()
        killed += 1
    return killed


def valkey_kills(campaign, server, number, *, flushes=0):
    """Kill Valkey so many times, each time for a while, and take away all that it has some of these times."""
    for n in range(number):
        campaign.keep()
        campaign.meddle()
        time.sleep(campaign.rng.uniform(0.2, 2.0))
        if n < flushes:
            with redis.Redis.from_url(settings.VALKEY_URL) as client:
                client.flushall()
        kill_server(server.process, "valkey-server")
        time.sleep(campaign.rng.uniform(0.0, 2.0))
        campaign.keep(5)  # also while it is away
        server.start()
        wait_until(server.answers)
        campaign.replace_dead()


def postgres_restarts(campaign, server, number):
    """Restart PostgreSQL so many times: open transactions are rolled back, connections are cut."""
    for _ in range(number):
        campaign.keep()
        campaign.meddle()
        time.sleep(campaign.rng.uniform(0.2, 3.0))
        server.process.stop()
        time.sleep(campaign.rng.uniform(0.0, 3.0))
        server.start()
        wait_until(server.answers)
        connection.close()
        connection.close_pool()  # what it holds is cut off
        campaign.replace_dead()


def kill_server(process, name):
    """kill -9 of a server, whose keeper then ends by itself."""
    (server,) = (one for one in psutil.Process(os.getpid()).children(recursive=True) if one.name() == name)
    server.send_signal(signal.SIGKILL)
    process.wait_stopped()


def fill(filler):
    """Write until the disk is full."""
    with filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def postgres_server(testbed):
    """The session's own PostgreSQL, which a test may stop; it runs again afterwards."""
    server = testbed.services.postgres
    if server is None:
        pytest.skip("the configured PostgreSQL is not ours to stop")
    yield server
    if not server.process.is_running():
        server.start()
    wait_until(server.answers)
    connection.close()
    connection.close_pool()


@pytest.mark.parametrize(
    "number", [pytest.param(3, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.exhaustive)]
)
def test_kills_change_no_run(tenant, testbed, tmp_path, eventually, number):
    campaign = Campaign(tenant, tmp_path, eventually, number)
    with campaign.under_way():
        killed = kills(campaign, number)
    counts = campaign.check()
    print(f"{killed} kills: {counts}")
    assert counts["attempts"] > counts["runs"], "no kill met a run"


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", [2, 50])
def test_a_valkey_that_is_killed_and_flushed_changes_no_run(
    tenant, testbed, valkey_server, tmp_path, eventually, number
):
    campaign = Campaign(tenant, tmp_path, eventually, number)
    with campaign.under_way():
        valkey_kills(campaign, valkey_server, number, flushes=1)
    print(f"{number} kills of Valkey, one after it was flushed: {campaign.check()}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", [1, 20])
def test_a_postgresql_that_is_restarted_changes_no_run(tenant, testbed, postgres_server, tmp_path, eventually, number):
    campaign = Campaign(tenant, tmp_path, eventually, number)
    with campaign.under_way():
        postgres_restarts(campaign, postgres_server, number)
    print(f"{number} restarts of PostgreSQL: {campaign.check()}")


@pytest.mark.exhaustive
def test_a_storage_that_fails_for_a_minute_changes_no_run(tenant, testbed, s3_server, tmp_path, eventually):
    campaign = Campaign(tenant, tmp_path, eventually, 60, **s3_server.env)
    with campaign.under_way():
        campaign.keep()
        time.sleep(3)
        (weed,) = (one for one in psutil.Process().children(recursive=True) if one.name() == "weed")
        weed.suspend()
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                campaign.keep()
                campaign.meddle()
                time.sleep(campaign.rng.uniform(1.0, 5.0))
                for worker in campaign.living[:1]:
                    for child in worker.children[:1]:
                        kill(child.pid)
        finally:
            weed.resume()
    print(f"a storage that does not answer for a minute: {campaign.check()}")


@pytest.mark.exhaustive
def test_a_full_disk_changes_no_run(tenant, testbed, tmp_path, eventually, settings):
    """All that runs write is on a small disk, which is filled up and emptied again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    folders = [testbed.data_dir / name for name in ("files", "scratch")]
    try:
        for folder in folders:
            (disk / folder.name).mkdir()
            if folder.exists():
                folder.rename(folder.with_suffix(".kept"))
            folder.symlink_to(disk / folder.name)
        campaign = Campaign(tenant, tmp_path, eventually, 8)
        with campaign.under_way():
            for _ in range(3):
                campaign.keep()
                time.sleep(3)
                filler = disk / "filler"
                with pytest.raises(OSError, match="No space left"):
                    fill(filler)
                end = time.monotonic() + 10
                while time.monotonic() < end:
                    campaign.keep()
                    campaign.meddle()
                    time.sleep(1)
                kill(campaign.living[0].process.pid)
                campaign.living[0].process.wait()
                campaign.replace_dead()
                filler.unlink()
        print(f"a disk that is full three times: {campaign.check()}")
    finally:
        for folder in folders:
            if folder.is_symlink():
                folder.unlink()
            if (kept := folder.with_suffix(".kept")).exists():
                kept.rename(folder)
        subprocess.run(["umount", "-l", str(disk)], check=True)
    with scope(tenant.workspace.id):
        assert not Run.objects.filter(state="failed").exists()
