"""HTTP calls of state machines: what goes out, what comes back, and where they may not go."""

import base64
import http.server
import json
import subprocess
import threading

from calls import CallTest, task
from support import KIND, WARREN, environment

INVOKE = "arn:aws:states:::http:invoke"
KEY = base64.b64encode(bytes(range(32))).decode()
PASSWORD = "correct horse"
CONNECTION = "arn:aws:events:eu-west-1:123456789012:connection/"


class Host(http.server.ThreadingHTTPServer):
    """A host that tells what it was asked, on a port of its own."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def end(self):
        self.shutdown()
        self.server_close()


class Answers(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        if self.path.startswith("/token"):
            return self.answer(200, {"access_token": "a-token", "expires_in": 3600})
        if self.path.startswith("/missing"):
            return self.answer(404, {"reason": "gone"})
        self.answer(200, {"path": self.path, "body": body})

    do_GET = do_POST

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def seal(text, key=KEY):
    """What `warren connection seal` prints."""
    done = subprocess.run(
        [WARREN, "connection", "seal"], input=text + "\n", text=True, capture_output=True, check=True,
        env=environment(WARREN__SECRETS__KEY=key), cwd="/",
    )
    return done.stdout.strip()


class HttpTest(CallTest):
    @classmethod
    def setUpClass(cls):
        cls.host = Host()
        cls.addClassCleanup(cls.host.end)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.host.asked.clear()

    def call(self, path="/", method="GET", **more):
        return task(INVOKE, {"ApiEndpoint": self.host.url + path, "Method": method, **more})


class Calls(HttpTest):
    settings = {"WARREN__SECRETS__KEY": KEY}

    @classmethod
    def configuration(cls):
        url = cls.host.url
        return f"""
[http.egress]
allow = ["{url}"]

[connections.shop]
bound_to = "{url}"
basic = {{ username = "warren", password = "{seal(PASSWORD)}" }}
headers = {{ X-Tenant = "seven" }}

[connections.elsewhere]
bound_to = "shop.example"
api_key = {{ name = "X-Key", value = "{seal("key")}" }}

[connections.granted.oauth]
token_url = "{url}/token"
client_id = "warren"
client_secret = "{seal("hush")}"
body = {{ scope = "orders" }}
"""

    def test_a_call_and_its_answer(self):
        call = self.call(
            "/orders", "POST", QueryParameters={"n": [1, 2]}, Headers={"X-Trace": "t"},
            RequestBody={"order.$": "$.order"},
        )
        for output in self.both(call, {"order": 7}):
            self.assertEqual((output["StatusCode"], output["StatusText"]), (200, "OK"))
            self.assertEqual(output["ResponseBody"], {"path": "/orders?n=1&n=2", "body": '{"order":7}'})
            self.assertEqual(output["Headers"]["content-type"], ["application/json"])
        method, _, headers, _ = self.host.asked[0]
        self.assertEqual((method, headers["x-trace"]), ("POST", "t"))
        self.assertEqual(headers["user-agent"], "Amazon|StepFunctions|HttpInvoke|us-east-1")

    def test_a_status_that_is_no_success_has_its_error(self):
        self.fails(self.call("/missing"), "States.Http.StatusCode.404", "gone")

    def test_a_connection_shows_who_calls_and_nobody_sees_its_secret(self):
        definition = self.call(Authentication={"ConnectionArn": CONNECTION + "shop/1a2b3c"})
        execution = self.standard(definition)
        self.succeeds(execution)
        _, _, headers, _ = self.host.asked[0]
        expected = "Basic " + base64.b64encode(f"warren:{PASSWORD}".encode()).decode()
        self.assertEqual((headers["authorization"], headers["x-tenant"]), (expected, "seven"))
        seen = json.dumps(self.history(execution), default=str) + self.server.printed()
        for secret in (PASSWORD, expected):
            self.assertNotIn(secret, seen)

    def test_a_token_is_asked_for_once(self):
        definition = self.call(InvocationConfig={"ConnectionArn": CONNECTION + "granted"})
        self.both(definition)
        asked = [(path, headers, body) for _, path, headers, body in self.host.asked]
        self.assertEqual([path for path, *_ in asked], ["/token", "/", "/"])
        self.assertIn("scope=orders", asked[0][2])
        self.assertEqual([headers["authorization"] for _, headers, _ in asked[1:]], ["Bearer a-token"] * 2)

    def test_a_connection_is_good_for_its_host_alone(self):
        definition = self.call(Authentication={"ConnectionArn": CONNECTION + "elsewhere"})
        self.fails(definition, "Events.ConnectionResource.AccessDenied", "'elsewhere'")
        self.assertEqual(self.host.asked, [])

    def test_a_connection_that_does_not_exist_fails_the_task(self):
        definition = self.call(Authentication={"ConnectionArn": CONNECTION + "none"})
        self.fails(definition, "Events.ConnectionResource.ResourceNotFound", "does not exist")

    def test_a_wrong_request_is_told_whole(self):
        definition = task(INVOKE, {"Method": "FLY", "Headers": {"Host": "x"}})
        self.fails(definition, "States.Runtime", "ApiEndpoint", "Method", "Host")


class Inside(HttpTest):
    """Hosts of the inside are not called unless a rule says so."""

    toml = "[http.egress]\nallow = []\n"

    def test_a_host_of_the_inside_is_refused(self):
        self.fails(self.call(), "States.Permissions", "The call was not made")
        for url in ("https://127.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[::1]/"):
            with self.subTest(url):
                self.fails(task(INVOKE, {"ApiEndpoint": url, "Method": "GET"}), "States.Permissions")
        self.assertEqual(self.host.asked, [])


class Unconfigured(HttpTest):
    def test_only_dev_calls_this_machine(self):
        if KIND == "dev":
            self.both(self.call())
            self.assertEqual(len(self.host.asked), 2)
        else:
            self.fails(self.call(), "States.Permissions")
            self.assertEqual(self.host.asked, [])
