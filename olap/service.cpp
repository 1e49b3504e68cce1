#include "olap/service.hpp"

#include "olap/query_run.hpp"

namespace millrace::olap {

service::service(engine& e, user_list users, origin_policy policy,
                 std::string scratch)
  : engine_(e), users_(std::move(users)), policy_(std::move(policy)),
    scratch_(std::move(scratch)), running_(e), sessions_(e) {
  // nop
}

void service::stop(std::chrono::milliseconds grace) {
  stopping_ = true;
  running_.wait_until_idle(grace);
  running_.cancel_all();
  sessions_.clear();
}

void service::not_found(http::response_writer& out, const std::string& path) {
  out.status(404);
  out.send("There is no handle " + path
           + "\n\nUse / or /ping for health checks.\n\nSend queries from your "
             "program with POST method or GET /?query=...\n");
}

void service::handle(const http::call& x) {
  x.out.header("X-ClickHouse-Server-Display-Name", engine_.display_name());
  auto err = check_origin(policy_, {x.in.header("Host"), x.in.header("Origin"),
                                    x.in.header("Sec-Fetch-Site")});
  if (err)
    return send_error(x.out, err, engine_.version());
  auto target = http::parse_target(x.in.target());
  auto method = x.in.method();
  auto reads = method == "GET" || method == "HEAD";
  auto& path = target.path;
  auto plain = [&](std::string_view text) {
    x.out.header("Content-Type", "text/html; charset=UTF-8");
    x.out.send(text);
  };
  if (reads && (path == "/ping" || path == "/replicas_status"))
    return plain("Ok.\n");
  if (path != "/" && path != "/query")
    return not_found(x.out, path);
  if (reads && path == "/" && target.parameters.empty())
    return plain("Ok.\n");
  if (method == "OPTIONS") {
    x.out.status(204);
    x.out.header("Allow", "GET, HEAD, POST, OPTIONS");
    x.out.send({});
    return;
  }
  if (!reads && method != "POST") {
    x.out.status(405);
    x.out.header("Allow", "GET, HEAD, POST, OPTIONS");
    x.out.send("Only GET, HEAD and POST are supported.\n");
    return;
  }
  answer(x, target);
}

void service::answer(const http::call& x, const http::target& target) {
  x.out.header("X-ClickHouse-Timezone", engine_.timezone());
  credential_fields fields;
  fields.authorization = x.in.header("Authorization");
  fields.header_user = x.in.header("X-ClickHouse-User");
  fields.header_key = x.in.header("X-ClickHouse-Key");
  fields.parameter_user = target.find("user");
  fields.parameter_password = target.find("password");
  credentials who;
  bool readonly = false;
  auto err = find_credentials(fields, who);
  if (!err)
    err = users_.check(who.user, who.password, readonly);
  if (!err && stopping_)
    err = make_error(236, "ABORTED", "The server is shutting down");
  if (err)
    return send_error(x.out, err, engine_.version());
  query_run run{
    {engine_, running_, sessions_, scratch_}, x, target, who.user, readonly};
  run.run();
}

} // namespace millrace::olap
