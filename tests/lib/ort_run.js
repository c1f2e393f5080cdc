// Runs ONNX models with ONNX Runtime, one session each, all rows as one batch.
// usage: node ort_run.js NODE_MODULES JOBS.json, with
// JOBS = [{model, input, output, columns}], files of little-endian float32 rows.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require(path.join(process.argv[2], 'onnxruntime-node'));

async function main() {
  for (const job of JSON.parse(fs.readFileSync(process.argv[3], 'utf8'))) {
    const session = await ort.InferenceSession.create(job.model, {intraOpNumThreads: 1});
    const bytes = fs.readFileSync(job.input);
    const rows = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const feeds = {[session.inputNames[0]]:
        new ort.Tensor('float32', rows, [rows.length / job.columns, job.columns])};
    const result = (await session.run(feeds))[session.outputNames[0]].data;
    fs.writeFileSync(job.output, Buffer.from(result.buffer, result.byteOffset, result.byteLength));
  }
}
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
