-- Places in line. The order of a job is taken from one counter of the partition; jobs that are submitted together share
-- one, and their ids, which ascend, tell them apart.

-- By priority, then by order. The text of an order is as long for every one of them: what is put in front counts more.
local function next_place(kind)
  return kind.rank .. string.format('%014d', call('HINCRBY', prefix .. 'order', 'last', 1))
end

-- A job's `born` with another place in line.
local function with_place(born, place)
  return (string.gsub(born, ' %d+', ' ' .. place, 1))
end
