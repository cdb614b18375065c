-- Tries what the other scripts do, on keys and a topic of its own, which nobody reads.
--
-- KEYS[1]  a list
-- KEYS[2]  a string
-- KEYS[3]  a hash
-- KEYS[4]  a sorted set
-- ARGV     topic, '1' to try what receipts need, '1' to try what presence needs
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
if ARGV[2] == '1' then
    try('HSET', KEYS[3], 'a', '1')
    try('HMGET', KEYS[3], 'a')
    try('HLEN', KEYS[3])
    try('HGETALL', KEYS[3])
    try('HDEL', KEYS[3], 'b')
    try('PEXPIRE', KEYS[3], 1)
end
if ARGV[3] == '1' then
    try('TIME')
    try('ZADD', KEYS[4], 1, 'a')
    try('ZRANGEBYSCORE', KEYS[4], 1, 2)
    try('ZCOUNT', KEYS[4], 1, 2)
    try('ZSCORE', KEYS[4], 'a')
    try('ZREM', KEYS[4], 'b')
    try('ZREMRANGEBYSCORE', KEYS[4], 3, 4)
    try('PEXPIRE', KEYS[4], 1)
end
try('DEL', KEYS[1])
try('PUBLISH', ARGV[1], '')
return refused
