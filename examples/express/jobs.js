import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from 'jobcast'
import { z } from 'zod'

export const report = defineJob({
  type: 'report',
  payload: z.object({ user: z.string(), year: z.int() }),
  async run({ user, year }, job) {
    /** @type {{ month: string, orders: number }[]} */
    const rows = []
    for (let month = 1; month <= 12; month++) {
      await pause(200, null, { signal: job.signal })
      const name = new Date(year, month - 1).toLocaleString('en', { month: 'short' })
      // Your database goes here.
      rows.push({ month: name, orders: Math.round(60 + 40 * Math.sin(month + user.length)) })
      job.progress((100 * month) / 12, `${name} ${year}`)
    }
    return { rows }
  },
})

export const jobs = [report]
