#pragma once

#include "actors/unit.hpp"
#include "messages/actors.hpp"
#include "messages/error.hpp"
#include "test/unit/fixture.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace::test {

/// Code that a test runs inside a fake actor.
using errand = std::shared_ptr<std::function<void()>>;

/// What a fake was asked; answers when a test says so.
template <class In, class Out>
struct inbox {
  struct entry {
    In what;
    caf::typed_response_promise<Out> promise;
  };

  std::vector<entry> all;

  size_t size() const {
    return all.size();
  }

  const In& operator[](size_t i) const {
    return all.at(i).what;
  }

  const In& back() const {
    return all.back().what;
  }
};

template <class In, class Out>
using inbox_ptr = std::shared_ptr<inbox<In, Out>>;

template <class In, class Out>
inbox_ptr<In, Out> make_inbox() {
  return std::make_shared<inbox<In, Out>>();
}

/// Keeps a request in the box until the test answers it.
template <class In, class Out, class Self>
caf::result<Out> keep(Self* self, const inbox_ptr<In, Out>& box, In what) {
  auto promise = self->template make_response_promise<Out>();
  box->all.push_back({std::move(what), promise});
  return promise;
}

} // namespace millrace::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::test::errand)

namespace millrace::test {

/// What came back for a request; nothing while it is unanswered.
template <class T>
struct asked {
  std::optional<T> value;
  std::string error;

  bool answered() const {
    return value.has_value();
  }

  bool pending() const {
    return !value && error.empty();
  }
};

template <class T>
using asked_ptr = std::shared_ptr<asked<T>>;

/// An actor that also runs errands: promises are delivered inside the actor
/// that made them. CAF 0.17: from outside that crashes.
template <class Interface>
using fake = typename Interface::template extend<caf::reacts_to<errand>>;

inline auto run_errands() {
  return [](const errand& f) { (*f)(); };
}

struct fake_state {
  static inline const char* name = "fake";
};

/// What `watch_end` says of an actor that was told to stop.
constexpr const char* stopped = "exit_reason(user_shutdown)";

/// Adds what tests of one actor with fake peers need.
struct peers_fixture : actor_fixture {
  peers_fixture() {
    context.pipeline = "test";
    context.numbers = std::make_shared<metrics>("test", "0");
  }

  /// Sends a request and notes the answer, whenever it comes.
  template <class T, class Handle, class... Ts>
  asked_ptr<T> ask(const Handle& hdl, Ts... xs) {
    auto result = std::make_shared<asked<T>>();
    sys.spawn([=](caf::event_based_actor* me) {
      me->request(hdl, caf::infinite, xs...)
        .then([=](T x) { result->value = x; },
              [=](const caf::error& err) { result->error = render(err); });
    });
    consume_messages();
    return result;
  }

  template <class Handle>
  void stop(const Handle& hdl) {
    caf::anon_send_exit(hdl, caf::exit_reason::user_shutdown);
    consume_messages();
  }

  template <class Handle>
  void run_in(const Handle& hdl, std::function<void()> f) {
    self->send(hdl, std::make_shared<std::function<void()>>(std::move(f)));
    consume_messages();
  }

  template <class Handle, class In, class Out>
  void answer(const Handle& hdl, const inbox_ptr<In, Out>& box, size_t i,
              Out value) {
    run_in(hdl, [=] { box->all.at(i).promise.deliver(value); });
  }

  template <class Handle, class In, class Out>
  void
  refuse(const Handle& hdl, const inbox_ptr<In, Out>& box, size_t i, ec code) {
    run_in(hdl, [=] {
      box->all.at(i).promise.deliver(
        caf::make_error(code, std::string{"refused"}));
    });
  }

  /// Notes why an actor ends; empty while it lives.
  template <class Handle>
  std::shared_ptr<std::string> watch_end(const Handle& hdl) {
    auto result = std::make_shared<std::string>();
    hdl->attach_functor([result](const caf::error& why) {
      *result = why ? render(why) : std::string{"normal"};
    });
    return result;
  }

  void pass(std::chrono::milliseconds time) {
    advance_time(time);
    consume_messages();
  }

  unit context;
};

} // namespace millrace::test
