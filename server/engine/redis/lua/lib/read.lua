-- What readers are told of jobs.
--
-- Takes call, prefix, job_prefix, now.
-- Gives TERMINAL, is_gone, live_state, type_of, read_job.
--@include state
local TERMINAL = $TERMINAL

-- A terminal job past its time is as good as gone.
local function is_gone(status, detail)
  return TERMINAL[status] and tonumber(detail) <= now
end

-- Returns seq, status and detail of a job's state; nothing where there is no such job (any more).
local function live_state(state)
  if not state then return end
  local seq, status, detail = parse_state(state)
  if not is_gone(status, detail) then return seq, status, detail end
end

-- Reads the type from a job's `kind`, which is false where there is no such job.
local function type_of(kind)
  return kind and string.match(kind, '^%S+')
end

-- Makes a row that describes a job: { { field, value, … }, payload or '', result or '' }, the latter two where they are kept
-- apart from the hash (codec.ts), and are not read where they are not wanted. With it come the fields by name, seq and
-- status. Returns false where there is no such job.
local function read_job(id, without_bodies)
  local fields = call('HGETALL', job_prefix .. id)
  local has = {}
  for at = 1, #fields, 2 do has[fields[at]] = fields[at + 1] end
  local seq, status = live_state(has.state)
  if not seq then return false end
  local payload = has.payload and '' or without_bodies and 'null' or call('GET', prefix .. 'payload:' .. id) or ''
  local result = ''
  if status == 'completed' and not has.result and not without_bodies then
    result = call('GET', prefix .. 'result:' .. id) or ''
  end
  return { fields, payload, result }, has, seq, status
end
