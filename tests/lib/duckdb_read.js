// SPDX-License-Identifier: Apache-2.0
// Runs one query in DuckDB's Node binding, a foreign reader of the lake, and prints its rows
// as lines of JSON. usage: node duckdb_read.js NODE_MODULES SQL
const path = require('path');
const { DuckDBInstance } = require(path.join(process.argv[2], '@duckdb/node-api'));

async function main() {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(process.argv[3]);
  const out = reader.getRowsJson().map((row) => JSON.stringify(row));
  process.stdout.write(out.join('\n') + (out.length > 0 ? '\n' : ''));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
