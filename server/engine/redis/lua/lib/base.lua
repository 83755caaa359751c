-- What every script starts with. All keys of a partition share one hash tag, so the prefix routes the call.
--
-- What costs in a script: a call of Redis, each string that is made (Lua hashes all of it), each argument and each
-- element of a reply. So calls and replies are joined where they can be, and texts are made once. A script is run from its
-- first line every time, so that a function costs something even where it is not called, and the more, the more it
-- takes from around it: so the scripts that every job goes through are made of parts that run in place (scripts.ts), and
-- what is rare in them stands inside its branch. The others share functions (lib/transition.lua).
--
-- Gives prefix, call, try, digits, clock, now, now_text, job_prefix.
local prefix = KEYS[1]
local call = redis.call
-- This is for what is published last: a message that is refused is found by looking, as is one that got lost.
local try = redis.pcall

-- Writes a whole number. Lua's own `..` would round long ones, and a number that is handed to Redis as such is
-- formatted as a fraction, which is slow.
local function digits(number)
  return string.format('%d', number)
end

-- Times are milliseconds of the store's clock.
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now_text = digits(now)

local job_prefix = prefix .. 'job:'
