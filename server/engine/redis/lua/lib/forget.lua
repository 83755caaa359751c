-- Forgets a terminal job with everything that belongs to it, and tells whoever watches it why.
local function forget(id, reason)
  local job = job_key(id)
  local type, status = unpack(redis.call('HMGET', job, 'type', 'status'))
  if type then count(status, type, -1) end
  redis.call('DEL', job, prefix .. 'payload:' .. id, prefix .. 'result:' .. id, prefix .. 'lines:' .. id)
  redis.call('ZREM', prefix .. 'jobs', id)
  redis.call('ZREM', prefix .. 'expiring', id)
  if type then redis.call('PUBLISH', prefix .. 'watch:' .. id, 'gone ' .. reason) end
end
