import { createClient } from 'jobcast/client'
import type { jobs } from './jobs.ts'

const client = createClient<typeof jobs>({ baseUrl: '/jobs' })

function part<T extends HTMLElement>(selector: string, type: new () => T): T {
  const element = document.querySelector(selector)
  if (element instanceof type) return element
  throw new Error(`the page has no ${selector}`)
}
const form = part('form', HTMLFormElement)
const section = part('section', HTMLElement)
const bar = part('progress', HTMLProgressElement)
const note = part('output', HTMLOutputElement)

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  section.hidden = false
  bar.value = 0
  note.textContent = 'Waiting in line'
  try {
    const payload = { below: Number(new FormData(form).get('below')) }
    const { count, largest } = await client.run(
      { type: 'primes', payload },
      {
        onEvent(event) {
          if (event.kind !== 'progress') return
          bar.value = event.data.percent
          note.textContent = event.data.note
        },
      },
    )
    bar.value = 100
    note.textContent = `${count.toLocaleString('en')} primes, the largest is ${largest.toLocaleString('en')}`
  } catch (error) {
    note.textContent = String(error)
  }
})
