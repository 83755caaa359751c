-- What a job's `kind` says to scripts: its type, its rank (what its priority leaves to the highest), how often it may stall,
-- and for how many ms it is kept once it is terminal.
local function kind_of(kind)
  local type, priority, most_stalls, retention = string.match(kind, '^(%S+) (%d) (%d+) (%d+)')
  return {
    type = type, rank = digits(9 - priority), most_stalls = tonumber(most_stalls), retention = tonumber(retention),
  }
end
