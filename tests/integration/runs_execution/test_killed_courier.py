"""The process that brings messages to webhooks, killed while it carries one."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from run_processes import kill, program

from apps.runs.states import RunState
from apps.webhooks.services import create_webhook

ENV = {
    "ATTRACTOR__WEBHOOKS__INSECURE": "true",
    "ATTRACTOR__WEBHOOKS__TIMEOUT": "3.0",
    "ATTRACTOR__WEBHOOKS__POLL": "0.1",
}


def test_a_message_survives_the_courier_that_carries_it(tenant, testbed, tmp_path, eventually, settings):
    """The second courier brings it under the same number, and whoever knows the number knows it twice."""
    hooks = settings.ATTRACTOR.webhooks.model_copy(update={"insecure": True})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"webhooks": hooks})
    got = []
    first_may_go = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            got.append(self.headers["webhook-id"])
            if len(got) == 1:
                first_may_go.wait(60)
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook, _ = create_webhook(
            tenant.user, tenant.workspace, f"http://127.0.0.1:{server.server_port}/", ["run.cancelled"]
        )
        run = tenant.submit()
        with program(tmp_path / "first.log", "manage.py", "deliver", **ENV) as courier:
            tenant.command(run, "cancel")
            assert tenant.look(run).state == RunState.CANCELLED
            eventually(lambda: got, "the first try")
            kill(courier.process.pid)
            courier.process.wait()
        with program(tmp_path / "second.log", "manage.py", "deliver", **ENV) as courier:
            eventually(lambda: len(got) == 2, "the second try")
            from apps.webhooks.models import WebhookDelivery
            from apps.workspaces.scope import scope

            def state():
                with scope(tenant.workspace.id):
                    return WebhookDelivery.objects.get(webhook=hook).state

            eventually(lambda: state() == "delivered", "its end to be written")
            courier.process.terminate()
            assert courier.process.wait(30) == 0
        first_may_go.set()
        server.shutdown()
    assert got[0] == got[1]
