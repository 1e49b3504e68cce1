#include "app/run.hpp"

#include "app/endpoint.hpp"
#include "app/logging.hpp"
#include "app/version.hpp"
#include "app/wiring.hpp"
#include "messages/error.hpp"
#include "messages/types.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <csignal>
#include <unistd.h>

namespace millrace {

namespace {

class system_config : public caf::actor_system_config {
public:
  explicit system_config(const configuration& cfg) {
    add_message_types<caf::id_block::millrace>();
    apply(cfg.scheduler, *this);
  }
};

// Wakes up the thread that waits for signals.
constexpr int pipeline_ended = SIGUSR1;

sigset_t awaited_signals() {
  sigset_t result;
  sigemptyset(&result);
  for (auto sig : {SIGINT, SIGTERM, SIGHUP, pipeline_ended})
    sigaddset(&result, sig);
  return result;
}

int wait_for_end(const sigset_t& signals) {
  for (;;) {
    int sig = 0;
    sigwait(&signals, &sig);
    if (sig != SIGHUP)
      return sig;
    reopen_log();
  }
}

// Blocks until the pipeline has answered.
result<void> take_again(caf::actor_system& sys, const caf::actor& root,
                        const std::string& table) {
  caf::scoped_actor self{sys};
  result<void> done;
  self->request(root, std::chrono::seconds{15}, atom::snapshot_v, table)
    .receive([](atom::ack) {},
             [&](const caf::error& err) {
               done = fail(ec::local_failure, text_of(err));
             });
  return done;
}

} // namespace

int run(const configuration& config) {
  auto signals = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto numbers = std::make_shared<metrics>(config.pipeline, version_text());
  endpoint http{numbers, config.limits.ready_lag};
  if (auto listening = http.start(config.http); !listening) {
    spdlog::error("{}", listening.error().text);
    return 1;
  }
  system_config cfg{config};
  caf::actor_system sys{cfg};
  caf::scoped_actor self{sys};
  auto root = sys.spawn(supervisor, make_pipeline(config, numbers),
                        restart_policy{}, numbers);
  root->attach_functor([] { kill(getpid(), pipeline_ended); });
  self->monitor(root);
  http.on_snapshot(
    [&](const std::string& table) { return take_again(sys, root, table); });
  auto sig = wait_for_end(signals);
  if (sig != pipeline_ended) {
    spdlog::info("caught {}: stopping", sig == SIGINT ? "SIGINT" : "SIGTERM");
    caf::anon_send(root, atom::stop_v);
  }
  auto code = 0;
  self->receive([&](const caf::down_msg& msg) {
    if (!msg.reason)
      return;
    spdlog::error("{}", render(msg.reason));
    code = 1;
  });
  http.on_snapshot(nullptr);
  auto confirmed = static_cast<uint64_t>(numbers->confirmed_position.value());
  if (confirmed != 0)
    spdlog::info("stopped; confirmed up to {}", to_string(lsn{confirmed}));
  else
    spdlog::info("stopped; nothing had to be confirmed");
  return code;
}

} // namespace millrace
