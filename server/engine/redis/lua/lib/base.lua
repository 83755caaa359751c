-- What every script starts with. All keys of a partition share one hash tag, so the prefix routes the call.
local prefix = KEYS[1]
local clock = redis.call('TIME')
-- Milliseconds, from the store's clock: as a number, and as text (Lua's own `..` would round long numbers).
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = string.format('%.0f', now)

local last_argument = 0
local function argument()
  last_argument = last_argument + 1
  return ARGV[last_argument]
end

local function job_key(id)
  return prefix .. 'job:' .. id
end

-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some.
-- What ends or keeps up existing work starts with this one and so goes through.
local function allow_when_out_of_memory()
  redis.call('DEL', prefix .. 'nothing')
end
