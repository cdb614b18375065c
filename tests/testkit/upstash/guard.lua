-- Stands before a script, on its first line, and gives it a `redis` whose calls are looked at first.
-- $LOCKED, $MUTE: true or false. Lines that begin with two dashes are left out, the others joined.
local redis = (function(real, declared, locked, mute)
  local own, guard = {}, {}
  for _, key in ipairs(declared) do own[key] = true end
  local function undeclared(...)
-- The server itself says which arguments are keys. COMMAND is neither billed nor counted.
    local keys = real.pcall("COMMAND", "GETKEYS", ...)
    if keys.err then return nil end
    for _, key in ipairs(keys) do if not own[key] then return key end end
    return nil
  end
  local function refusal(name, ...)
    local upper = string.upper(tostring(name))
    if mute and (upper == "PUBLISH" or upper == "SPUBLISH") then
      return "ERR This Redis command is not allowed from script"
    end
    if not locked then return nil end
-- Upstash REST docs, "Key-Based Locking": database-wide writes cannot be called; their words are not given.
    if upper == "FLUSHDB" or upper == "FLUSHALL" then
      return "ERR " .. upper .. " is not allowed in Lua scripts when 'allow-key-locking' flag is set"
    end
-- The same page: "every key passed to redis.call must appear in KEYS", and the text of the error.
    local key = undeclared(name, ...)
    if not key then return nil end
    return "ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set. Key was: " .. key
  end
  guard.call = function(...)
    local why = refusal(...)
    if why then error(real.error_reply(why)) end
    return real.call(...)
  end
  guard.pcall = function(...)
    local why = refusal(...)
    if why then return real.error_reply(why) end
    return real.pcall(...)
  end
  return setmetatable(guard, {__index = real})
end)(redis, KEYS, $LOCKED, $MUTE)
local server = redis
