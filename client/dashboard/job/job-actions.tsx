import { Button, Group, Modal, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlayerStop, IconRefresh, IconTrash } from '@tabler/icons-react'
import { useState } from 'react'
import { useLocation } from 'wouter'
import type { Job } from '../../../shared/job.ts'
import { isTerminal } from '../../../shared/status.ts'
import { useClient } from '../../react/index.ts'
import { notifyFailure } from '../common/notices.tsx'

interface JobActionsProps {
  readonly job: Job
  cancel(): Promise<void>
  retry(): Promise<void>
}

type Action = 'cancel' | 'retry' | 'remove'

/** Cancel while it lives; retry and delete when it is over. */
export function JobActions({ job, cancel, retry }: JobActionsProps) {
  const client = useClient()
  const [, navigate] = useLocation()
  const [running, setRunning] = useState<Action | null>(null)
  const [isAsking, asking] = useDisclosure(false)

  async function run(action: Action, act: () => Promise<unknown>) {
    setRunning(action)
    try {
      await act()
    } catch (error) {
      notifyFailure(error)
    } finally {
      setRunning(null)
    }
  }

  async function remove() {
    await client.remove(job.jobId)
    navigate('/')
  }

  if (!isTerminal(job.status)) {
    return (
      <Button
        variant="default"
        leftSection={<IconPlayerStop size={16} stroke={1.75} />}
        loading={running === 'cancel'}
        disabled={job.cancelRequested}
        onClick={() => run('cancel', cancel)}
      >
        Cancel
      </Button>
    )
  }
  return (
    <Group gap="xs">
      {job.status !== 'completed' && (
        <Button
          leftSection={<IconRefresh size={16} stroke={1.75} />}
          loading={running === 'retry'}
          onClick={() => run('retry', retry)}
        >
          Retry
        </Button>
      )}
      <Button variant="default" leftSection={<IconTrash size={16} stroke={1.75} />} onClick={asking.open}>
        Delete
      </Button>
      <Modal.Root opened={isAsking} onClose={asking.close}>
        <Modal.Overlay />
        <Modal.Content bd="1px solid var(--jc-border)">
          <Modal.Body p="lg">
            <Modal.Title fz="lg" fw={600} mb={6}>
              Delete this job?
            </Modal.Title>
            <Text size="sm" c="dimmed">
              Its payload, result, log and history go with it. This cannot be undone.
            </Text>
            <Group justify="flex-end" gap="xs" mt="lg">
              <Button variant="default" onClick={asking.close} data-autofocus>
                Keep it
              </Button>
              <Button color="red.8" loading={running === 'remove'} onClick={() => run('remove', remove)}>
                Delete
              </Button>
            </Group>
          </Modal.Body>
        </Modal.Content>
      </Modal.Root>
    </Group>
  )
}
