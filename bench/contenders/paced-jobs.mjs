/** For JOBCAST_JOBS: jobs of type `paced` take turns, which come once a job of type `turns` runs. */
import { giveTurns, takeTurn } from '../harness/paced.mjs'

export default [
  { type: 'paced', concurrency: Number(process.env.CONCURRENCY), run: takeTurn },
  { type: 'turns', run: ({ amount, perSecond }) => giveTurns(amount, perSecond) },
]
