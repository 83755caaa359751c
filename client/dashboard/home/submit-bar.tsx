import { Alert, Button } from '@mantine/core'
import { IconAlertCircle, IconArrowRight } from '@tabler/icons-react'

/** The end of every submit form: what is wrong as a whole, and the button. */
export function SubmitBar({
  label,
  isSending,
  general,
}: {
  label: string
  isSending: boolean
  general: string | null
}) {
  return (
    <>
      {general !== null && (
        <Alert
          color="red"
          variant="light"
          icon={<IconAlertCircle size={18} />}
          role="alert"
          styles={{
            message: { whiteSpace: 'pre-line', overflowWrap: 'anywhere', color: 'var(--jc-red-text)' },
          }}
        >
          {general}
        </Alert>
      )}
      <Button
        type="submit"
        size="md"
        fullWidth
        loading={isSending}
        rightSection={<IconArrowRight size={16} stroke={2} aria-hidden />}
      >
        {label}
      </Button>
    </>
  )
}
