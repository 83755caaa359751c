-- Forgets a terminal job with everything that belongs to it, and tells whoever watches it why. Its id goes last, so that
-- what is left is found.
local function forget(id, reason)
  local job = job_prefix .. id
  local state, kind = unpack(call('HMGET', job, 'state', 'kind'))
  if state then
    local _, status = parse_state(state)
    count(status, kind_of(kind).type, -1)
  end
  call('DEL', job, prefix .. 'payload:' .. id, prefix .. 'result:' .. id, prefix .. 'lines:' .. id)
  call('ZREM', prefix .. 'expiring', id)
  call('ZREM', prefix .. 'jobs', id)
  if state then try('PUBLISH', prefix .. 'watch:' .. id, 'gone ' .. reason) end
end
