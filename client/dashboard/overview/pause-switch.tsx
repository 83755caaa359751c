import { Switch } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useState } from 'react'
import type { TypeInfo } from '../../../shared/api.ts'
import { useClient } from '../../react/index.ts'
import { explain } from '../common/explain.ts'

/** Whether jobs of a type are started; those that run go on in either case. */
export function PauseSwitch({ info, onChanged }: { info: TypeInfo; onChanged(): void }) {
  const client = useClient()
  const [isSending, setSending] = useState(false)

  async function toggle() {
    setSending(true)
    try {
      await (info.paused ? client.resume(info.type) : client.pause(info.type))
      onChanged()
    } catch (error) {
      const { title, text } = explain(error)
      notifications.show({ color: 'red', title, message: text })
    } finally {
      setSending(false)
    }
  }

  return (
    <Switch
      size="sm"
      color="green.9"
      checked={!info.paused}
      disabled={isSending}
      onChange={toggle}
      label={info.paused ? 'Paused' : 'Running'}
      aria-label={`Start jobs of type ${info.type}`}
    />
  )
}
