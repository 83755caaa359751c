import { describe, expect, test } from 'vitest'
import type { SubmittedJob } from '../../server/engine/engine.ts'
import { newJobId } from '../../server/engine/job/ids.ts'
import { answerText, batchAnswer } from '../../server/http/submit.ts'
import { BatchAnswer, SubmitAnswer } from '../../shared/api.ts'

const job: SubmittedJob = {
  jobId: newJobId(),
  type: 'mail.send-now_2',
  status: 'queued',
  createdAt: '2026-01-02T03:04:05.006Z',
  cursor: 'aZ_-9012.1',
}
const self = `/api/jobs/${job.jobId}`
const links = { self, events: `${self}/events`, cancel: `${self}/cancel`, socket: `/ws?job=${job.jobId}` }
const { jobId, status, type, createdAt, cursor } = job

describe('answers to submissions', () => {
  test('are the JSON that JSON.stringify would make', () => {
    expect(answerText(job, null, '')).toBe(JSON.stringify({ jobId, status, type, createdAt, cursor, links }))
    const token = 'eyJh.eyJq-_.c2ln'
    expect(answerText(job, token, '')).toBe(
      JSON.stringify({ jobId, status, type, createdAt, cursor, token, links }),
    )
  })

  test('name the addresses that lead to the job from where the caller is', () => {
    const answers = [answerText(job, null, '/tools/jobs'), batchAnswer([job], null, '/tools/jobs').toString()]
    for (const answer of answers) {
      for (const link of Object.values(links)) expect(answer).toContain(`"/tools/jobs${link}"`)
    }
  })

  test('fit their schemas', () => {
    expect(SubmitAnswer.parse(JSON.parse(answerText(job, null, '')))).toMatchObject({ jobId, links })
    const { jobs } = BatchAnswer.parse(JSON.parse(batchAnswer([job, job], ['first', null], '').toString()))
    expect(jobs.map((one) => one.token)).toEqual(['first', undefined])
  })

  test('to a batch are those to its jobs', () => {
    expect(batchAnswer([], null, '').toString()).toBe('{"jobs":[]}')
    const others: SubmittedJob[] = [
      { ...job, jobId: newJobId() },
      { ...job, jobId: newJobId(), status: 'scheduled' },
      { ...job, jobId: newJobId(), type: 'other' },
      { ...job, jobId: newJobId(), createdAt: '2026-01-02T03:04:05.007Z' },
      { ...job, jobId: newJobId(), cursor: 'aZ_-9012.12' },
    ]
    const all = [job, ...others, job]
    const texts = all.map((one) => answerText(one, null, ''))
    expect(batchAnswer(all, null, '').toString()).toBe(`{"jobs":[${texts.join(',')}]}`)
  })
})
