// clickhouse-go over HTTP against a running server: clickhouse_go HOST:PORT.
// Run by test_olap_clients.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func must(ok bool, what string) {
	if !ok {
		check(errors.New(what))
	}
}

func try(address string, name string, method clickhouse.CompressionMethod) {
	ctx := context.Background()
	db := clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{address},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: "default", Username: "default"},
		Compression: &clickhouse.Compression{Method: method},
		Settings:    clickhouse.Settings{"max_execution_time": 60},
	})
	defer db.Close()
	check(db.PingContext(ctx))
	var version string
	check(db.QueryRowContext(ctx, "SELECT version()").Scan(&version))
	must(strings.HasPrefix(version, "26."), "version "+version)
	exec := func(sql string) {
		_, err := db.ExecContext(ctx, sql)
		check(err)
	}
	exec("CREATE OR REPLACE TABLE go (id UInt64, s String, t DateTime64(6, 'UTC'), " +
		"a Array(String), n Nullable(Int32), d Decimal(12, 2)) ENGINE = MergeTree ORDER BY id")

	const rows = 200_000
	batch, err := db.BeginTx(ctx, nil)
	check(err)
	insert, err := batch.PrepareContext(ctx, "INSERT INTO go (id, s, t, a, n)")
	check(err)
	begin := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := 0; i < rows; i++ {
		var n *int32
		if i%2 == 0 {
			x := int32(i)
			n = &x
		}
		_, err = insert.ExecContext(ctx, uint64(i), fmt.Sprintf("text %d", i),
			begin.Add(time.Duration(i)*time.Microsecond), []string{"x", fmt.Sprint(i)}, n)
		check(err)
	}
	check(batch.Commit())

	result, err := db.QueryContext(ctx, "SELECT id, s, t, a, n FROM go ORDER BY id")
	check(err)
	count := 0
	for ; result.Next(); count++ {
		var id uint64
		var s string
		var t time.Time
		var a []string
		var n *int32
		check(result.Scan(&id, &s, &t, &a, &n))
		must(id == uint64(count) && s == fmt.Sprintf("text %d", count) && a[1] == fmt.Sprint(count) &&
			t.Equal(begin.Add(time.Duration(count)*time.Microsecond)) && (n == nil) == (count%2 == 1),
			fmt.Sprintf("row %d is wrong", count))
	}
	check(result.Err())
	must(count == rows, fmt.Sprintf("%d rows", count))

	var total uint64
	check(db.QueryRowContext(ctx, "SELECT sum(id) FROM go WHERE id < @limit", clickhouse.Named("limit", 10)).Scan(&total))
	must(total == 45, "a named parameter")
	ctx2 := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"limit": "10"}),
		clickhouse.WithQueryID("go "+name))
	check(db.QueryRowContext(ctx2, "SELECT sum(id) FROM go WHERE id < {limit:UInt64}").Scan(&total))
	must(total == 45, "a server-side parameter")

	_, err = db.ExecContext(ctx, "SELECT * FROM nowhere")
	must(err != nil, "no error for an unknown table")
	fmt.Println(name, "refuses:", err)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(short, "SELECT sleepEachRow(0.05) FROM numbers(1000) SETTINGS max_block_size = 1")
	must(err != nil, "no error after a timeout")
}

func main() {
	address := os.Args[1]
	try(address, "none", clickhouse.CompressionNone)
	try(address, "lz4", clickhouse.CompressionLZ4)
	try(address, "zstd", clickhouse.CompressionZSTD)
	try(address, "gzip", clickhouse.CompressionGZIP)
	try(address, "deflate", clickhouse.CompressionDeflate)
	fmt.Println("ok")
}
