-- Arguments, one after the other.
local arguments, last_argument = ARGV, 0

local function argument()
  last_argument = last_argument + 1
  return arguments[last_argument]
end
