#include "messages/failure_point.hpp"
#include "postgres/admin_impl.hpp"
#include "postgres/advice.hpp"
#include "postgres/inspection.hpp"
#include "postgres/known_source.hpp"
#include "postgres/shapes.hpp"

#include <algorithm>

namespace millrace::postgres {

namespace {

// IDENTIFY_SYSTEM wants a replication connection, and shows on the way whether
// we may have one and whether one is free.
result<source_identity> identify(const source_options& options) {
  auto conn = connect(options, session_kind::replication);
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto rows = run(conn->get(), "IDENTIFY_SYSTEM", "cannot identify the server");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  source_identity result;
  result.system_identifier = field(r, 0, 0);
  result.timeline = static_cast<uint32_t>(integer(r, 0, 1));
  result.position = parse_lsn(field(r, 0, 2)).value_or(lsn{});
  result.database = field(r, 0, 3);
  result.server_version = PQserverVersion(conn->get());
  return result;
}

std::string create_slot_sql(const std::string& slot) {
  return "SELECT lsn FROM pg_create_logical_replication_slot("
         + quote_text(slot) + ", 'pgoutput')";
}

// Creating a slot waits for all transactions that write; which ones these are
// is what the user wants to know.
std::string writers(PGconn* conn) {
  auto rows = run(conn,
                  "SELECT string_agg(DISTINCT coalesce('process ' || pid,"
                  " 'a prepared transaction'), ', ') FROM pg_locks"
                  " WHERE locktype = 'transactionid' AND granted"
                  " AND mode = 'ExclusiveLock'"
                  " AND pid IS DISTINCT FROM pg_backend_pid()",
                  "cannot look at transactions");
  return rows && PQgetisnull(rows->get(), 0, 0) == 0
           ? std::string{field(rows->get(), 0, 0)}
           : "unknown";
}

result<lsn> create_slot(PGconn* conn, const std::string& slot) {
  auto what = "cannot create slot \"" + slot + "\"";
  // Bounded, so that the wait can be seen; the next try goes on waiting.
  if (auto set
      = run(conn, "SET statement_timeout = '20s'; SET lock_timeout = 0", what);
      !set)
    return tl::unexpected{std::move(set.error())};
  // Stopped, it is left to the server to end it: by the connection's end.
  auto rows = exec(conn, create_slot_sql(slot));
  if (is_stopped(conn))
    return fail(ec::source_failed, what + ": stopped");
  std::string code{sqlstate(rows.get())};
  auto good = PQresultStatus(rows.get()) == PGRES_TUPLES_OK;
  auto problem = good ? failure{} : server_failure(conn, rows.get(), what);
  run(conn, "RESET statement_timeout; RESET lock_timeout", what);
  if (good)
    return parse_lsn(field(rows.get(), 0, 0)).value_or(lsn{});
  if (code == "57014")
    problem = {ec::source_failed,
               what + " yet: it waits for transactions that were running: "
                 + writers(conn)};
  else if (code == "42602")
    problem.code = ec::invalid_configuration;
  else if (code == "42710")
    problem.code = ec::source_failed; // somebody else was faster
  else if (code == "53400")
    problem.text += "; raise max_replication_slots or drop a slot";
  else if (code == "55000")
    problem.code = ec::source_unsuitable; // wal_level
  return tl::unexpected{std::move(problem)};
}

result<void>
run_in_one(PGconn* conn, const std::vector<std::string>& statements) {
  auto begun = run(conn, "BEGIN; SET LOCAL lock_timeout = '2s'",
                   "cannot begin a transaction");
  if (!begun)
    return tl::unexpected{std::move(begun.error())};
  for (const auto& sql : statements) {
    auto done = run(conn, sql, "cannot run " + sql);
    if (!done) {
      run(conn, "ROLLBACK", "");
      return tl::unexpected{std::move(done.error())};
    }
  }
  auto done = run(conn, "COMMIT", "cannot commit the publications");
  if (!done)
    return tl::unexpected{std::move(done.error())};
  return {};
}

// The table that a statement adds.
const catalogue_table*
added_by(const inspection& seen, const std::string& sql) {
  for (const auto* x : seen.candidates)
    if (sql.ends_with(quote_name(x->description.schema, x->description.name)))
      return x;
  return nullptr;
}

bool makes_publication(const std::string& sql) {
  return sql.starts_with("CREATE ");
}

// New publications come all at once, with their tables; without them if one is
// locked.
result<void> make_publications(PGconn* conn, const inspection& seen,
                               std::vector<std::string>& notes) {
  std::vector<std::string> all;
  for (const auto& sql : seen.statements)
    if (makes_publication(sql))
      all.push_back(sql);
  if (all.empty())
    return {};
  auto done = run_in_one(conn, all);
  if (!done && done.error().code == ec::source_failed) {
    all = seen.without_tables;
    done = run_in_one(conn, all);
  }
  if (done)
    notes.insert(notes.end(), all.begin(), all.end());
  return done;
}

// Adding a table waits for whoever keeps it locked: each by itself, so that
// others need not, and those that are busy later.
result<void>
add_tables(PGconn* conn, const inspection& seen, source_start& result) {
  for (const auto& sql : seen.statements) {
    if (makes_publication(sql))
      continue;
    auto done = run_in_one(conn, {sql});
    if (done) {
      result.notes.push_back(sql);
      continue;
    }
    if (done.error().code != ec::source_failed)
      return done;
    const auto* table = added_by(seen, sql);
    auto why = std::move(done.error());
    if (table != nullptr)
      why = name_lock_holders(conn, table->description.oid, std::move(why));
    result.warnings.push_back(
      {ec::source_failed,
       table != nullptr ? table->description.full_name() : "a new table",
       why.text, "it is tried again until it can be added", true});
  }
  return {};
}

result<void> refuse(const std::vector<problem>& problems) {
  failure all;
  for (const auto& x : problems) {
    // Whether a slot is free shows when replication starts.
    if (x.warning || x.code == ec::slot_busy)
      continue;
    if (all.code == ec::none)
      all.code = x.code;
    all.text += (all.text.empty() ? "" : " | ") + x.subject + ": " + x.text
                + "; " + x.remedy;
  }
  if (all.code != ec::none)
    return tl::unexpected{std::move(all)};
  return {};
}

} // namespace

result<source_survey> source_admin::survey() {
  const auto& options = impl_->options_;
  auto conn = impl_->session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto seen = inspect(*conn, options);
  if (!seen)
    return tl::unexpected{std::move(seen.error())};
  source_survey result;
  result.problems = std::move(seen->problems);
  auto identity = identify(options);
  if (identity) {
    result.identity = std::move(*identity);
    result.identity.in_recovery = seen->in_recovery;
  } else {
    result.identity.database = seen->database;
    result.identity.server_version = seen->version;
    result.problems.push_back({identity.error().code, "replication connection",
                               identity.error().text,
                               "the role needs REPLICATION, pg_hba.conf must "
                               "let it in, and max_wal_senders must be large "
                               "enough"});
  }
  result.tables = to_follow(*seen, options);
  result.missing = std::move(seen->missing);
  result.plan = std::move(seen->statements);
  if (!seen->slot.exists && !seen->in_recovery && seen->version >= 140000)
    result.plan.push_back(create_slot_sql(options.slot));
  result.slot_exists = seen->slot.exists;
  result.slot_confirmed = seen->slot.confirmed;
  result.slot_lag = seen->slot.lag;
  return result;
}

result<source_start> source_admin::set_up(lsn highest_start) {
  const auto& options = impl_->options_;
  auto conn = impl_->session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto seen = inspect(*conn, options);
  if (!seen)
    return tl::unexpected{std::move(seen.error())};
  const auto& slot = seen->slot;
  if (!slot.exists)
    if (auto kept = judge_slot(options.slot, false, {}, highest_start); !kept)
      return tl::unexpected{std::move(kept.error())};
  if (auto good = refuse(seen->problems); !good)
    return tl::unexpected{std::move(good.error())};
  // One that is being made has no position; it may never get one.
  if (seen->slot.exists && seen->slot.confirmed.value == 0)
    return fail(ec::slot_busy, "slot \"" + options.slot
                                 + "\" is being made by process "
                                 + seen->slot.active_pid);
  if (auto kept
      = judge_slot(options.slot, slot.exists, slot.confirmed, highest_start);
      !kept)
    return tl::unexpected{std::move(kept.error())};
  source_start result;
  auto identity = identify(options);
  if (!identity)
    return tl::unexpected{std::move(identity.error())};
  result.identity = std::move(*identity);
  if (auto done = make_publications(*conn, *seen, result.notes); !done)
    return tl::unexpected{std::move(done.error())};
  if (!result.notes.empty() && result.notes == seen->without_tables) {
    seen = inspect(*conn, options);
    if (!seen)
      return tl::unexpected{std::move(seen.error())};
  }
  if (auto done = add_tables(*conn, *seen, result); !done)
    return tl::unexpected{std::move(done.error())};
  // The slot after the publications: what it decodes must know them.
  if (seen->slot.exists) {
    result.start = seen->slot.confirmed;
  } else {
    if (auto passed = failure_point("slot_created.before", ec::source_failed);
        !passed)
      return tl::unexpected{std::move(passed.error())};
    auto position = create_slot(*conn, options.slot);
    if (!position)
      return tl::unexpected{std::move(position.error())};
    if (auto passed = failure_point("slot_created.after", ec::source_failed);
        !passed)
      return tl::unexpected{std::move(passed.error())};
    result.start = *position;
    result.slot_created = true;
    result.notes.push_back(create_slot_sql(options.slot) + ": "
                           + to_string(*position));
  }
  conn = impl_->snapshot_session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto after = inspect(*conn, options);
  if (!after)
    return tl::unexpected{std::move(after.error())};
  result.tables = followed(*after, options);
  if (auto done = read_shapes(*conn, options, result.tables); !done)
    return tl::unexpected{std::move(done.error())};
  if (auto done = impl_->end_snapshot(); !done)
    return tl::unexpected{std::move(done.error())};
  result.missing = std::move(after->missing);
  for (auto& x : after->problems)
    if (x.warning)
      result.warnings.push_back(std::move(x));
  for (const auto* x : {&after->main, &after->inserts})
    if (x->exists)
      result.publications.push_back(x->name);
  return result;
}

result<std::optional<lsn>> source_admin::end_of_timeline(uint32_t timeline) {
  const auto& options = impl_->options_;
  auto conn = connect(options, session_kind::replication);
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto who = run(conn->get(), "IDENTIFY_SYSTEM", "cannot identify the server");
  if (!who)
    return tl::unexpected{std::move(who.error())};
  auto current = static_cast<uint32_t>(integer(who->get(), 0, 1));
  if (current == timeline)
    return std::optional<lsn>{};
  auto unrelated = [&] {
    return fail(ec::source_changed,
                "the server's timeline " + std::to_string(current)
                  + " does not come from timeline " + std::to_string(timeline)
                  + ", which the target was filled from");
  };
  if (current < timeline)
    return unrelated();
  auto history
    = run(conn->get(), "TIMELINE_HISTORY " + std::to_string(current),
          "cannot read the history of timeline " + std::to_string(current));
  if (!history)
    return tl::unexpected{std::move(history.error())};
  // One line a timeline: number, where it ended, why.
  auto text = field(history->get(), 0, 1);
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    auto tab = line.find('\t');
    if (tab == std::string_view::npos
        || line.substr(0, tab) != std::to_string(timeline))
      continue;
    auto rest = line.substr(tab + 1);
    auto position = parse_lsn(rest.substr(0, rest.find('\t')));
    if (position)
      return position;
  }
  return unrelated();
}

} // namespace millrace::postgres
