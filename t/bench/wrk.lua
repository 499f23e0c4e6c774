-- For wrk: random ids, and the figures of a run as one line of JSON.
--
--     BENCH_PATH=/api/campaigns/ BENCH_IDS=10000 wrk -s wrk.lua http://…
--
-- Without BENCH_IDS wrk repeats the URL it was given.  The requests are made
-- before the run, since making one costs more than sending it.

local ids = tonumber(os.getenv("BENCH_IDS") or "")

if ids then
   local requests = {}

   function init()
      math.randomseed(os.time())

      for id = 1, ids do
         requests[id] = wrk.format(nil, os.getenv("BENCH_PATH") .. id)
      end
   end

   function request()
      return requests[math.random(ids)]
   end
end

function done(summary, latency)
   local e = summary.errors

   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "bytes": %d, "errors": %d, ' ..
      '"mean": %.1f, "p50": %d, "p99": %d, "max": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes,
      e.connect + e.read + e.write + e.status + e.timeout,
      latency.mean, latency:percentile(50), latency:percentile(99),
      latency.max))
end
