-- What every script starts with. All keys of a partition share one hash tag, so the prefix routes the call.
--
-- What costs in a script: a call of Redis, each string that is made (Lua hashes all of it), each argument and each
-- element of a reply. So calls and replies are joined where they can be, and texts are made once.
local prefix = KEYS[1]
local call = redis.call

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
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = digits(now)

local last_argument = 0
local function argument()
  last_argument = last_argument + 1
  return ARGV[last_argument]
end

local function next_arguments(amount)
  local first = last_argument + 1
  last_argument = last_argument + amount
  return unpack(ARGV, first, last_argument)
end

local job_prefix = prefix .. 'job:'
local function job_key(id)
  return job_prefix .. id
end

-- What a job's `kind` says to scripts: its type, its rank (what its priority leaves to the highest), how often it may stall, and for how many ms it is kept
-- once it is terminal. Jobs of one script are mostly of a few kinds.
local known_kinds = {}
local function kind_of(kind)
  local known = known_kinds[kind]
  if not known then
    local type, priority, most_stalls, retention = string.match(kind, '^(%S+) (%d) (%d+) (%d+)')
    known = {
      type = type, rank = digits(9 - priority), most_stalls = tonumber(most_stalls), retention = tonumber(retention),
    }
    known_kinds[kind] = known
  end
  return known
end

-- Takes a job's `state` apart: its seq as a number, its status (`cancelling` where a running job is to be cancelled),
-- and with it the lease of a run, the time at which a scheduled job is due or a terminal one is forgotten, or ''.
local function parse_state(state)
  local seq, status, detail = string.match(state, '^(%d+) (%a+) ?(.*)$')
  return tonumber(seq), status, detail
end

-- Redis refuses the first write of a script when it is out of memory, unless that write can only free some.
-- What ends or keeps up existing work starts with this one and so goes through.
local function allow_when_out_of_memory()
  call('DEL', prefix .. 'nothing')
end
