import { type ClientRequest, get } from 'node:http'
import { text } from 'node:stream/consumers'
import { PollAnswer } from '../../../shared/api.ts'
import { isTerminal } from '../../../shared/status.ts'
import { refusalOf } from './refusal.ts'
import { guarded, type OpenWire, queryOf, type Told } from './wire.ts'

/** Between two polls that are not held, and after a held one that was answered at once with nothing. */
const PAUSE_MS = 60

/** `/api/jobs/:id?after=…&wait=…`, again and again (section 5 of the protocol): held so many seconds, or not at all. */
export function openPolls(holdS: number): OpenWire {
  return (request, hear) => {
    let isOpen = true
    let after = request.after ?? ''
    let outgoing: ClientRequest | null = null
    let timer: NodeJS.Timeout | undefined
    const tell = (told: Told) => {
      if (isOpen) hear(told)
    }
    const over = (told: Told) => {
      tell(told)
      isOpen = false
    }
    const lost = () => over({ told: 'closed', code: null })

    const take = (answer: PollAnswer, ms: number) => {
      if (!isOpen) return
      after = answer.cursor
      tell(toldBy(answer))
      if (isTerminal(answer.status)) over({ told: 'end', cursor: answer.cursor, status: answer.status })
      const isIdle = holdS === 0 || (answer.events.length === 0 && ms < 1000)
      if (isOpen) timer = setTimeout(ask, isIdle ? PAUSE_MS : 0)
    }

    const ask = () => {
      const asked = performance.now()
      const query = queryOf({ ...request, after })
      query.set('wait', String(holdS))
      const { credential } = request
      outgoing = get(
        `${request.address}/api/jobs/${encodeURIComponent(request.jobId)}?${query}`,
        { agent: false, headers: credential === undefined ? {} : { Authorization: `Bearer ${credential}` } },
        (answer) => {
          if (answer.statusCode !== 200) void refusalOf(answer).then(over)
          else
            text(answer).then(
              (body) =>
                guarded(tell, () => take(PollAnswer.parse(JSON.parse(body)), performance.now() - asked)),
              lost,
            )
        },
      )
      outgoing.on('error', lost)
    }

    ask()
    return {
      close() {
        isOpen = false
        clearTimeout(timer)
        outgoing?.destroy()
      },
    }
  }
}

function toldBy(answer: PollAnswer): Told {
  if (answer.mode === 'resume') return { told: 'resume', events: answer.events, cursor: answer.cursor }
  const { mode: _mode, reason, trimmed, events, ...job } = answer
  return { told: 'snapshot', reason, job, trimmed, cursor: job.cursor, events }
}
