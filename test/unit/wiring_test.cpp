#define CAF_SUITE wiring

#include "app/wiring.hpp"
#include "messages/error.hpp"
#include "test/unit/fake_clickhouse.hpp"
#include "test/unit/fixture.hpp"

#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace millrace;
using namespace std::chrono_literals;

namespace {

/// Takes connections and never says anything: a pipeline stays where it is.
struct silent_server {
  silent_server() : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd, raw, size) == 0 && ::listen(fd, 100) == 0
        && ::getsockname(fd, raw, &size) == 0)
      port = std::to_string(ntohs(address.sin_port));
  }

  ~silent_server() {
    ::close(fd);
  }

  int fd;
  std::string port;
};

const char* name_of(const caf::actor& x) {
  auto* self = caf::actor_cast<caf::abstract_actor*>(x);
  return static_cast<caf::local_actor*>(self)->name();
}

/// The real pipeline under the real supervisor, with threads.
struct fixture {
  fixture() : sys(cfg) {
    settings.pipeline = "test";
    settings.source.uri = "host=127.0.0.1 port=" + server.port
                          + " user=u dbname=d connect_timeout=600"
                            " gssencmode=disable sslmode=disable";
    settings.target = target.options;
    settings.snapshot_connections = 2;
    policy.initial_delay = policy.max_delay = 1ms;
    auto start = [this, make = make_pipeline(settings, numbers)](auto* self) {
      auto result = make(self);
      std::lock_guard guard{mutex};
      workers = result.workers;
      head = result.head;
      ++starts;
      return result;
    };
    root = sys.spawn(supervisor, start, policy, numbers);
    CAF_REQUIRE(wait_for(1));
  }

  // The supervisor ends what it has started.
  ~fixture() {
    caf::scoped_actor self{sys};
    self->monitor(root);
    caf::anon_send(root, atom::stop_v);
    self->receive([](const caf::down_msg&) {});
    workers.clear();
    head = nullptr;
    root = nullptr;
  }

  bool wait_for(int n) {
    for (int i = 0; i < 3000; ++i) {
      {
        std::lock_guard guard{mutex};
        if (starts >= n)
          return starts == n;
      }
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  std::vector<caf::actor> now() {
    std::lock_guard guard{mutex};
    return workers;
  }

  silent_server server;
  test::fake_clickhouse target;
  configuration settings;
  std::shared_ptr<metrics> numbers = std::make_shared<metrics>("test", "0");
  restart_policy policy;
  std::mutex mutex;
  std::vector<caf::actor> workers;
  caf::actor head;
  int starts = 0;
  test::config cfg;
  caf::actor_system sys;
  caf::actor root;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(wiring_tests, fixture)

CAF_TEST(the end of any actor starts all of them again) {
  std::map<std::string, int> names;
  for (const auto& x : now())
    ++names[name_of(x)];
  CAF_CHECK((names
             == std::map<std::string, int>{{"capture", 1},
                                           {"cleaner", 1},
                                           {"insert-pool", 1},
                                           {"inserter", 4},
                                           {"partition-router", 1},
                                           {"snapshot-reader", 2},
                                           {"snapshotter", 1},
                                           {"source-agent", 2},
                                           {"target-agent", 2}}));
  auto n = now().size();
  int expected = 1;
  auto seen_agent = false;
  for (size_t i = 0; i < n; ++i) {
    auto before = now();
    CAF_REQUIRE_EQUAL(before.size(), n);
    // The one that CAPTURE has asked waits for its server and for nothing else.
    auto is_agent = name_of(before[i]) == std::string{"source-agent"};
    if (is_agent && std::exchange(seen_agent, true))
      continue;
    CAF_MESSAGE(name_of(before[i]) << " fails");
    // An error message ends the actor that gets it.
    caf::anon_send(before[i], caf::make_error(ec::unhandled_exception,
                                              std::string{"injected"}));
    CAF_REQUIRE(wait_for(++expected));
    auto after = now();
    CAF_CHECK(std::none_of(after.begin(), after.end(), [&](const auto& x) {
      return std::find(before.begin(), before.end(), x) != before.end();
    }));
    CAF_CHECK_EQUAL(numbers->look(0).error, "unhandled_exception: injected");
  }
  CAF_CHECK_EQUAL(numbers->restarts.value(), n - 1);
}

CAF_TEST_FIXTURE_SCOPE_END()
