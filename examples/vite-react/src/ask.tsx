import { JobProgress, useJob } from 'jobcast/react'
import { type FormEvent, useState } from 'react'
import type { answer, Piece } from './jobs'

export function Ask() {
  const [question, setQuestion] = useState('Why is the sky blue?')
  const job = useJob<typeof answer>({ type: 'answer', history: true })
  const isRunning = job.status === 'submitting' || job.status === 'queued' || job.status === 'processing'

  function ask(event: FormEvent) {
    event.preventDefault()
    void job.startJob({ question })
  }

  const pieces = job.events.flatMap((event) => (event.kind === 'chunk' ? [event.data as Piece] : []))
  const text = job.status === 'completed' ? job.result.text : pieces.map((piece) => piece.text).join('')
  return (
    <main>
      <h1>Ask</h1>
      <p>Each answer is a job that streams its words. Close the page, and it goes on.</p>
      <form onSubmit={ask}>
        <input aria-label="Question" value={question} onChange={(event) => setQuestion(event.target.value)} />
        {isRunning ? (
          <button key="stop" type="button" onClick={() => void job.cancel()}>
            Stop
          </button>
        ) : (
          <button key="ask" type="submit">
            Ask
          </button>
        )}
      </form>
      {job.status !== 'idle' && (
        <section>
          <blockquote>{text}</blockquote>
          <JobProgress job={job} label="Answer" />
        </section>
      )}
    </main>
  )
}
