-- What every script starts with. All keys of a partition share one hash tag, so the prefix routes the call.
local prefix = KEYS[1]

-- A whole number as text. Lua's own `..` would round long ones, and a number that is handed to Redis as such is
-- formatted as a fraction, which is slow.
local known_digits = {}
local function digits(number)
  local text = known_digits[number]
  if not text then
    text = string.format('%d', number)
    known_digits[number] = text
  end
  return text
end

-- Milliseconds, from the store's clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = digits(now)

local last_argument = 0
local function argument()
  last_argument = last_argument + 1
  return ARGV[last_argument]
end

-- How long a terminal job is kept, in ms: the last number of its policy.
local known_retention = {}
local function retention(policy)
  local ms = known_retention[policy]
  if not ms then
    ms = tonumber(string.match(policy, ' (%d+)$'))
    known_retention[policy] = ms
  end
  return ms
end

local function job_key(id)
  return prefix .. 'job:' .. id
end

-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some.
-- What ends or keeps up existing work starts with this one and so goes through.
local function allow_when_out_of_memory()
  redis.call('DEL', prefix .. 'nothing')
end
