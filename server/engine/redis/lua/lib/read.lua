-- Rows that describe jobs to readers: { { field, value, … }, payload or '', result or '' }, the latter two where
-- they are kept apart from the hash (codec.ts). A terminal job past its time is as good as gone.
local function is_gone(expires)
  return expires and tonumber(expires) <= now
end

local function read_job(id)
  local fields = redis.call('HGETALL', job_key(id))
  local has = {}
  for at = 1, #fields, 2 do has[fields[at]] = fields[at + 1] end
  if not has.seq or is_gone(has.expires) then return false end
  local payload = has.payload and '' or redis.call('GET', prefix .. 'payload:' .. id) or ''
  local result = ''
  if has.status == 'completed' and not has.result then
    result = redis.call('GET', prefix .. 'result:' .. id) or ''
  end
  return { fields, payload, result }, has
end
