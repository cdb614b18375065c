-- Counts a signal towards its sender's rate and tells it. Nothing of it is stored.
--
-- KEYS[1]  the rate's state: when the bucket is empty again (ms)
-- ARGV     now (ms), interval (ms a signal), burst, topic ('' = do not notify), the notice
-- Returns  {ms until it would pass, 0 if it did; 1 if notified else 0}

local now, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = tonumber(redis.call('GET', KEYS[1]) or '') or now
-- One instance's clock may be ahead of another's: nobody waits for longer than a full burst.
due = math.min(math.max(due, now), now + interval * burst) + interval
local wait = due - interval * burst - now
if wait > 0 then return {tostring(math.ceil(wait)), 0} end
redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(interval * burst) + 1000)

local notified = 0
if ARGV[4] ~= '' then
    local answer = redis.pcall('PUBLISH', ARGV[4], ARGV[5])
    if type(answer) ~= 'table' then notified = 1 end
end
return {'0', notified}
