"""`warren worker`: the tasks of an activity, done by a command."""

import json
import signal

from support import WARREN, Process, ServerTest, activity_arn, eventually, is_running, machine


class Worker(ServerTest):
    def work(self, command, *arguments, activity=None, endpoint=None):
        """A worker for the activity of this test."""
        worker = Process([
            WARREN, "worker", "--activity", activity or self.name(), "--exec", command,
            "--endpoint", endpoint or self.server.endpoint, *arguments,
        ], self.place)
        self.addCleanup(worker.end)
        return worker

    def definition(self, **fields):
        return machine({"Work": {"Type": "Task", "Resource": activity_arn(self.name()), **fields}})

    def run_task(self, value=None, **fields):
        # A worker may make the activity first.
        self.sfn.create_activity(name=self.name())
        return self.start(self.create(self.definition(**fields)), value)

    def test_what_a_command_prints_is_the_output(self):
        worker = self.work("cat")
        execution = self.run_task({"n": [1, 2.5, "é"]})
        self.assertEqual(self.succeeds(execution), {"n": [1, 2.5, "é"]})
        self.assertIn(activity_arn(self.name()), worker.says("taking the tasks of"))
        worker.says("a task succeeded")
        started = self.event(execution, "ActivityStarted")["activityStartedEventDetails"]
        self.assertEqual(started["workerName"], f"warren-{worker.child.pid}")

    def test_a_command_may_print_nothing_and_knows_its_task(self):
        self.work('test -n "$WARREN_TASK_TOKEN" && test -n "$WARREN_ACTIVITY_ARN"')
        self.assertIsNone(self.succeeds(self.run_task()))

    def test_a_command_says_how_it_failed(self):
        self.work("""echo '{"error": "Busy", "cause": "come back later"}'; exit 1""")
        ended = self.ended(self.run_task())
        self.assertEqual((ended["error"], ended["cause"]), ("Busy", "come back later"))

    def test_a_command_that_breaks_fails_with_what_it_said(self):
        self.work("echo oh no >&2; exit 7")
        ended = self.ended(self.run_task())
        self.assertEqual(ended["error"], "CommandFailed")
        self.assertIn("exit status: 7", ended["cause"])
        self.assertIn("oh no", ended["cause"])

    def test_an_output_must_be_json_within_the_limit(self):
        self.work("""read size; if [ "$size" = 1 ]; then echo no json; else printf '"%300000s"' x; fi""")
        self.assertEqual(self.ended(self.run_task(1))["error"], "InvalidOutput")
        large = self.ended(self.start(self.create(self.definition()), 2))
        self.assertEqual(large["error"], "InvalidOutput")
        self.assertIn("262144", large["cause"])

    def test_heartbeats_keep_a_long_task(self):
        self.work("sleep 5; cat", "--heartbeat", "1")
        self.assertEqual(self.succeeds(self.run_task(1, HeartbeatSeconds=3)), 1)

    def test_without_heartbeats_it_times_out_and_the_answer_is_not_wanted(self):
        worker = self.work("sleep 3; cat")
        self.assertEqual(self.ended(self.run_task(1, HeartbeatSeconds=1))["error"], "States.Timeout")
        self.assertIn("TaskTimedOut", worker.says("the task's answer is not wanted"))

    def test_a_task_that_nobody_wants_any_more_is_killed(self):
        worker = self.work(f"echo $$ > {self.place}/unwanted; sleep 3600; true", "--heartbeat", "1")
        execution = self.run_task()
        pid = self.written("unwanted")
        self.sfn.stop_execution(executionArn=execution)
        worker.says("no longer wanted")
        eventually(lambda: not is_running(pid))

    def test_several_tasks_are_done_at_a_time(self):
        # Each waits for the two others.
        here = self.place / "together"
        here.mkdir()
        self.work(f"touch {here}/$$; until [ $(ls {here} | wc -l) = 3 ]; do sleep 0.05; done", "--concurrency", "3")
        self.sfn.create_activity(name=self.name())
        arn = self.create(self.definition())
        for execution in [self.start(arn, number) for number in range(3)]:
            self.succeeds(execution)

    def written(self, name):
        """The process id that a command has written to a file."""
        return int(eventually(lambda: (self.place / name).exists() and (self.place / name).read_text().strip()))

    def test_ctrl_c_lets_it_finish_what_it_does(self):
        go = self.place / "go"
        worker = self.work(f"echo $$ > {self.place}/finishing; until [ -e {go} ]; do sleep 0.05; done; cat")
        execution = self.run_task(1)
        self.written("finishing")
        waiting = self.start(self.create(self.definition(), name="waiting"), 2)
        worker.send(signal.SIGINT)
        worker.says("stopping; once more to drop what is being done")
        go.touch()
        self.assertEqual(worker.wait(), 0, worker.printed())
        self.assertEqual(self.succeeds(execution), 1)
        self.assertNotIn("ActivityStarted", self.types(waiting), "no further task is taken")

    def test_the_second_ctrl_c_drops_it(self):
        worker = self.work(f"echo $$ > {self.place}/dropped; sleep 3600; true")
        self.run_task()
        pid = self.written("dropped")
        worker.send(signal.SIGINT)
        worker.says("stopping")
        worker.send(signal.SIGINT)
        self.assertEqual(worker.wait(), 0, worker.printed())
        eventually(lambda: not is_running(pid))

    def test_ctrl_c_ends_an_idle_worker_at_once(self):
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            worker = self.work("cat")
            worker.says("taking the tasks of")
            worker.send(signal_number)
            self.assertEqual(worker.wait(), 0, worker.printed())

    def test_an_activity_that_does_not_exist_is_told(self):
        worker = self.work("cat", activity=activity_arn("none"))
        self.assertEqual(worker.wait(), 1)
        self.assertIn("Activity Does Not Exist: '" + activity_arn("none"), worker.printed())

    def test_a_server_that_is_away_is_waited_for(self):
        worker = self.work("cat", endpoint="http://127.0.0.1:9")
        worker.says("trying again until it works")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0, worker.printed())
        self.assertEqual(json.dumps(worker.stdout), "[]")
