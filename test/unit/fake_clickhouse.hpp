#pragma once

#include "clickhouse/options.hpp"
#include "fake_http_server.hpp"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace millrace::test {

/// A server that answers by what a statement contains; the first rule counts.
struct fake_clickhouse {
  struct rule {
    std::string part;
    int code;
    std::string answer;
  };

  fake_clickhouse() : server([this](fake_connection& peer) { serve(peer); }) {
    options.url = server.url();
    options.database = "d";
  }

  void serve(fake_connection& peer) {
    fake_connection::request x;
    while (peer.read_head(x) && peer.read_body(x)) {
      std::lock_guard guard{mutex};
      // Before the answer: who has it may look.
      heads.push_back(x.head.substr(0, x.head.find("\r\n")));
      bodies.push_back(x.body);
      peer.send(answer(x));
    }
  }

  std::string answer(const fake_connection::request& x) {
    for (auto& [part, code, text] : rules) {
      if (x.body.find(part) == std::string::npos)
        continue;
      if (code == 0)
        return http_answer(200, text);
      auto number = std::to_string(code);
      return http_answer(500, "Code: " + number + ". DB::Exception: " + text,
                         "X-ClickHouse-Exception-Code: " + number + "\r\n");
    }
    return http_answer(200, "");
  }

  void on(std::string part, std::string answer, int code = 0) {
    std::lock_guard guard{mutex};
    rules.insert(rules.begin(), {std::move(part), code, std::move(answer)});
  }

  /// Bodies of the requests that contain `part`.
  std::vector<std::string> asked(const std::string& part) {
    std::lock_guard guard{mutex};
    std::vector<std::string> out;
    for (auto& x : bodies)
      if (x.find(part) != std::string::npos)
        out.push_back(x);
    return out;
  }

  std::mutex mutex;
  std::vector<rule> rules;
  std::vector<std::string> heads;
  std::vector<std::string> bodies;
  clickhouse::target_options options;
  fake_http_server server;
};

} // namespace millrace::test
