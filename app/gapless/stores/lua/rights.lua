-- Tries what the other scripts do, on keys and a topic of its own, which nobody reads.
--
-- KEYS[1]  a list
-- KEYS[2]  a string
-- ARGV     topic
-- Returns  for each command that was refused: {its name, what was said}

local refused = {}
local function try(name, ...)
    local reply = redis.pcall(name, ...)
    if type(reply) == 'table' and reply.err then refused[#refused + 1] = {name, reply.err} end
end
try('SET', KEYS[2], '1', 'PX', 1)
try('GET', KEYS[2])
try('MGET', KEYS[2])
try('RPUSH', KEYS[1], '1', '2')
try('LINDEX', KEYS[1], -1)
try('LRANGE', KEYS[1], 0, -1)
try('LTRIM', KEYS[1], -1, -1)
try('PEXPIRE', KEYS[1], 1)
try('DEL', KEYS[1])
try('PUBLISH', ARGV[1], '')
return refused
