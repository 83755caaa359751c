import { expect, test } from 'vitest'
import { FrameBudget } from '../../server/gateway/transports/websocket/client-frames.ts'

test('512 frames at once, then 100 a second', () => {
  const budget = new FrameBudget(0)
  for (let frame = 0; frame < 512; frame++) expect(budget.take(0)).toBe(true)
  expect(budget.take(0)).toBe(false)
  expect(budget.take(5)).toBe(false)
  expect(budget.take(10)).toBe(true)
  expect(budget.take(10)).toBe(false)
  let taken = 0
  while (budget.take(1010)) taken++
  expect(taken).toBe(100)
})

test('the bucket holds no more than 512', () => {
  const budget = new FrameBudget(0)
  let taken = 0
  while (budget.take(3_600_000)) taken++
  expect(taken).toBe(512)
})

test('the tenth bad frame is the last', () => {
  const budget = new FrameBudget(0)
  for (let strike = 1; strike < 10; strike++) expect(budget.strike(strike)).toBe(false)
  expect(budget.strike(10)).toBe(true)
})

test('a bad frame is forgiven every 6 s', () => {
  const budget = new FrameBudget(0)
  for (let strike = 1; strike < 10; strike++) budget.strike(0)
  expect(budget.strike(6000)).toBe(false)
  expect(budget.strike(11_999)).toBe(true)
  const patient = new FrameBudget(0)
  for (let strike = 0; strike < 100; strike++) expect(patient.strike(strike * 6000)).toBe(false)
})

test('time without bad frames saves nothing up', () => {
  const budget = new FrameBudget(0)
  let strikes = 1
  while (!budget.strike(3_600_000)) strikes++
  expect(strikes).toBe(10)
})
