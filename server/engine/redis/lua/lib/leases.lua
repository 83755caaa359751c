-- What a claim leaves behind. A lease is `<worker>/<token>`, the same for all jobs of the claim; `leases` holds their ids
-- by the end of the lease, `claim:<worker>:<claim>` what the claim got, for as long as its leases: `<lease> <at> <ids>`.
-- `leases`: of each job the end of its lease and its id.
local function store_claim(memory, lease, lease_ms, ids, leases)
  -- Redis keeps a small sorted set as a plain list, which every change walks through: with a hundred runs that is most of
  -- what claiming and settling cost. A member this long makes it a real sorted set; its lease never ends.
  local KEEPS_LEASES_SORTED = '-----------------------------------------------------------------'
  -- However short the lease, a lost answer has to be noticed and the claim sent again.
  local SHORTEST_MEMORY_MS = '2500'
  call('ZADD', prefix .. 'leases', '+inf', KEEPS_LEASES_SORTED, unpack(leases))
  local record = lease .. ' ' .. now_text .. ' ' .. table.concat(ids, ' ')
  call('SET', memory, record, 'PX', tonumber(lease_ms) < tonumber(SHORTEST_MEMORY_MS) and SHORTEST_MEMORY_MS or lease_ms)
end
