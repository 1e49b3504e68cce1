"""What can happen to a node, its servers and the connections between them."""

import os
import signal
import time

from millrace_servers import wait_until


class Faults:
    """What can happen to the three processes and the connections between them; each leaves all running again."""

    def __init__(self, source, target, node, rng, to_source, to_target):
        self.source, self.target, self.node, self.random = source, target, node, rng
        self.to_source, self.to_target = to_source, to_target
        self.logged = 0

    def start_node(self):
        self.logged = len(self.node.log())
        self.node.start(wait=False)

    def node_is_killed(self):
        self.node.kill()
        self.start_node()

    def node_is_stopped(self):
        # Before its first line a signal ends it as it ends any process.
        wait_until(lambda: len(self.node.log()) > self.logged, "the node has begun", 60, alive=self.node)
        assert self.node.stop() == 0, self.node.log_tail()
        self.start_node()

    def node_is_frozen(self):
        self._freeze(self.node)

    def target_is_killed(self):
        self.target.kill()
        time.sleep(self.random.random())
        self.target.start()

    def target_is_frozen(self):
        self._freeze(self.target)

    def source_is_killed(self):
        """kill -9 of all its processes: the slot is where the last checkpoint had it."""
        self.source.kill()
        time.sleep(self.random.random())
        self.source.start()

    def source_is_stopped_at_once(self):
        self.source.stop(signal.SIGQUIT)
        self.source.start()

    def source_is_frozen(self):
        self.source.freeze()
        time.sleep(1 + self.random.random() * 2)
        self.source.thaw()

    def source_is_restarted(self):
        self.source.restart()

    def sessions_are_ended(self):
        self.source.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'millrace%'")

    def node_and_target_are_killed(self):
        self.node.kill()
        self.target.kill()
        self.target.start()
        self.start_node()

    def target_is_cut_off(self):
        self._cut(self.to_target)

    def source_is_cut_off(self):
        self._cut(self.to_source)

    def _cut(self, proxy):
        """Now, between two messages, and in the middle of them."""
        for _ in range(self.random.randrange(1, 5)):
            if self.random.random() < 0.3:
                proxy.cut()
            else:
                proxy.cut_after(self.random, self.random.choice([10, 1000, 100000]))
            time.sleep(self.random.random() * 0.4)

    def connections_are_slow(self):
        slow = [proxy for proxy in (self.to_source, self.to_target) if self.random.random() < 0.7] or [self.to_target]
        for proxy in slow:
            proxy.bytes_per_second = self.random.choice([20_000, 200_000])
        time.sleep(1 + self.random.random() * 2)
        if self.random.random() < 0.5:
            self.random.choice(slow).cut()
        for proxy in slow:
            proxy.bytes_per_second = None

    def connections_are_silent(self):
        proxy = self.random.choice([self.to_source, self.to_target])
        proxy.open.clear()
        time.sleep(1 + self.random.random() * 2)
        if self.random.random() < 0.5:
            proxy.cut()
        proxy.open.set()

    def _freeze(self, server):
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(1 + self.random.random() * 2)
        os.kill(server.pid, signal.SIGCONT)

    ALL = ("node_is_killed", "node_is_killed", "node_is_stopped", "node_is_frozen", "target_is_killed", "target_is_frozen", "source_is_killed",
           "source_is_stopped_at_once", "source_is_frozen", "source_is_restarted", "sessions_are_ended", "node_and_target_are_killed",
           "target_is_cut_off", "source_is_cut_off", "target_is_cut_off", "source_is_cut_off", "connections_are_slow", "connections_are_silent")
